"""Flower's queue lengths, asked of the transport: Flower itself knows neither our schemes nor queues on streams."""

import asyncio
from collections.abc import Iterable
from typing import Any

from kombu import Connection

from gristmill.broker.address import SCHEMES
from gristmill.dashboard.asking import threads
from gristmill.dashboard.flower_internals import BrokerBase, add_broker


class StreamsBroker(BrokerBase):
    """Flower's view of a broker with our scheme. It has the arguments that Flower gives to all of its brokers."""

    def __init__(
        self, broker_url: str, *_: Any, broker_options: Any = None, broker_use_ssl: Any = None, **__: Any
    ) -> None:
        super().__init__(broker_url)
        self._broker = Connection(broker_url, transport_options=broker_options, ssl=broker_use_ssl or False)

    async def queues(self, names: Iterable[str]) -> list[dict[str, Any]]:
        """The queues called `names`, each with the number of messages that no worker has taken."""
        return await asyncio.get_running_loop().run_in_executor(threads("lengths"), self._lengths, list(names))

    def _lengths(self, names: list[str]) -> list[dict[str, Any]]:
        with self._broker.clone() as connection:
            numbers = {name: connection.default_channel.waiting_messages(name) for name in names}
        # A narrow page of Flower's leaves out the column of `messages`.
        return [{"name": name, "messages": number, "messages_ready": number} for name, number in numbers.items()]


def install() -> None:
    """Have Flower use StreamsBroker for brokers with our schemes."""
    add_broker(SCHEMES, StreamsBroker)
