"""The queue lengths of Flower's Broker page, from our transport: Flower itself would read the length of lists."""

import asyncio
from collections.abc import Iterable
from typing import Any

from celery import current_app
from flower.utils import broker


class StreamsBroker(broker.RedisBase):
    """Flower's view of the broker, for queues that are streams; of the app that Flower runs for."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.app = current_app._get_current_object()

    async def queues(self, names: Iterable[str]) -> list[dict[str, Any]]:
        """The queues called `names`, each with the number of messages that no worker has taken."""
        return await asyncio.to_thread(self._lengths, list(names))

    def _lengths(self, names: list[str]) -> list[dict[str, Any]]:
        with self.app.connection_for_read() as connection:
            return [{"name": name, "messages": connection.default_channel._size(name)} for name in names]


def install() -> None:
    """Make Flower use StreamsBroker."""
    broker.Redis = broker.RedisSsl = broker.RedisSocket = StreamsBroker
