"""Messages that nobody takes, or whose task nobody knows: a search that reads the names of all keys of the server."""

import threading
import time
from collections.abc import Collection

from gristmill.broker.unattended_queues import Orphan, orphans
from gristmill.broker.unknown_tasks import UnknownTask, unknown_tasks
from gristmill.fleet.registry import WorkerRegistry

#: Seconds between two searches while somebody looks, and the age from which on nobody is shown what one found.
SEARCH_SECONDS, OLD_SECONDS = 30.0, 60.0


class MessageWatch:
    """What the last search found. Threads share it.

    A search takes long where there are many keys, so no visitor waits for one, but for the first one after a while.
    """

    def __init__(self, fleet: WorkerRegistry) -> None:
        self._fleet = fleet
        self._lock = threading.Lock()
        self._last_look = self._last_search = -OLD_SECONDS
        self._queues: Collection[str] = ()
        self._answer: tuple[list[Orphan], list[UnknownTask]] = [], []

    def look(self, queues: Collection[str]) -> tuple[list[Orphan], list[UnknownTask]]:
        """What nobody takes, and what nobody knows; `queues` are those that have an advice of their own.

        Raises:
            RedisError: the server cannot be reached, or refuses.
        """
        self._last_look, self._queues = time.monotonic(), queues
        self._search(OLD_SECONDS)
        return self._answer

    def renew(self) -> None:
        """Search anew if it is time, and somebody looks: call it once a second. Raises as `look`."""
        if time.monotonic() - self._last_look < SEARCH_SECONDS:
            self._search(SEARCH_SECONDS)

    def _search(self, age: float) -> None:
        """Search, if the last search is at least so many seconds old."""
        if self._is_younger(age):
            return
        with self._lock:
            if self._is_younger(age):
                return
            client, settings = self._fleet.client, self._fleet.settings
            self._answer = orphans(client, settings, self._queues), unknown_tasks(client, settings)
            self._last_search = time.monotonic()

    def _is_younger(self, age: float) -> bool:
        return time.monotonic() - self._last_search < age
