"""Flower's queue lengths, asked of the transport: Flower itself would ask for the length of lists."""

import asyncio
from collections.abc import Iterable
from typing import Any

from flower.utils import broker

from batches.fleet import Fleet
from broker.connection import client
from config.settings import settings


class StreamsBroker(broker.Redis):
    """Flower's view of the broker, for queues that are streams."""

    async def queues(self, names: Iterable[str]) -> list[dict[str, Any]]:
        """The queues of these names, each with the number of messages that no worker has taken."""
        return await asyncio.to_thread(self._lengths, list(names))

    def _lengths(self, names: list[str]) -> list[dict[str, Any]]:
        fleet = Fleet(client(), settings())
        return [{"name": name, "messages": fleet.waiting(name)} for name in names]


def install() -> None:
    """Have Flower use it."""
    broker.Redis = broker.RedisSsl = StreamsBroker
