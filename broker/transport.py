"""The transport: what `redis://` and `rediss://` mean to every worker, every producer and Flower."""

from typing import Any

from kombu.transport import TRANSPORT_ALIASES
from kombu.transport import redis as stock

from broker.channel import Channel


class Transport(stock.Transport):
    """kombu's Redis transport with a channel that loses nothing."""

    Channel = Channel

    def register_with_event_loop(self, connection: Any, loop: Any) -> None:
        """Let the worker's loop poll our connections; nothing has to be restored from there."""
        super().register_with_event_loop(connection, loop)
        self.cycle._restore_messages_tref.cancel()


def install() -> None:
    """Make this the transport of `redis://` and `rediss://` in this process.

    Naming it in `broker_transport` is no way: kombu drops the name at some addresses, and TLS at others.
    """
    for scheme in ("redis", "rediss"):
        TRANSPORT_ALIASES[scheme] = f"{Transport.__module__}:{Transport.__qualname__}"
