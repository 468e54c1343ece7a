"""The transport: what `redis://` and `rediss://` mean to every worker, every producer and Flower.

Importing this module is all that an app has to do. `docs/transport.md` says what else it may set.
"""

import ssl
from typing import Any

import kombu.connection
from celery.signals import worker_init
from kombu import transport as transports
from kombu.transport import redis as stock

from gristmill.broker.channel import Channel

#: Named, so that this room imports none above it.
CONSUMER = "gristmill.worker.consumer:Consumer"
STEPS = ("gristmill.worker.guards:TransportGuard", "gristmill.worker.guards:OptOuts", "gristmill.worker.guards:Freeze")


class Transport(stock.Transport):
    """kombu's Redis transport with a channel that loses nothing."""

    Channel = Channel

    def __init__(self, client: Any, **kwargs: Any) -> None:
        if client.ssl is True or (client.transport_cls == "rediss" and not client.ssl):
            # A bare `rediss://`, or `broker_use_ssl=True`, which kombu takes for "check nothing", and for "no TLS".
            client.ssl = {"ssl_cert_reqs": ssl.CERT_REQUIRED}
        super().__init__(client, **kwargs)

    def register_with_event_loop(self, connection: Any, loop: Any) -> None:
        """Let the worker's loop poll our connections; nothing has to be restored from there."""
        super().register_with_event_loop(connection, loop)
        self.cycle._restore_messages_tref.cancel()


def install() -> None:
    """Make this the transport of `redis://`, `rediss://` and `redis+socket://` in this process.

    Naming it in `broker_transport` is no way: kombu drops the name at some addresses, and TLS at others.
    """
    for scheme in ("redis", "rediss"):
        transports.TRANSPORT_ALIASES[scheme] = f"{Transport.__module__}:{Transport.__qualname__}"
        # A connection that was made before has put kombu's own there.
        transports._transport_cache.pop(scheme, None)
    # Else kombu says "check nothing" of a bare `rediss://` before a transport is asked.
    kombu.connection.ssl_available = False
    worker_init.connect(equip, weak=False, dispatch_uid=equip.__qualname__)


def equip(sender: Any, **_: Any) -> None:
    """Give a worker that is about to be built our consumer and the steps that go with the transport."""
    if sender.consumer_cls == "celery.worker.consumer:Consumer":
        sender.consumer_cls = CONSUMER
    sender.app.steps["worker"].update(STEPS)


install()
