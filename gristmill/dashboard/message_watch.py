"""Messages that nobody takes, or whose task nobody knows: a search that reads the names of all keys of the server."""

import threading
import time

from gristmill.broker.unattended_queues import Orphan, orphans
from gristmill.broker.unknown_tasks import UnknownTask, unknown_tasks
from gristmill.dashboard.shared_look import SharedLook
from gristmill.fleet.overview import Observer

#: Seconds between two searches while somebody looks, and the age from which on nobody is shown what one found.
SEARCH_SECONDS, OLD_SECONDS = 30.0, 60.0

#: Queues with messages that nobody takes, and tasks that nobody knows.
SearchAnswer = tuple[list[Orphan], list[UnknownTask]]


class MessageWatch:
    """What the last search found. Threads share it.

    A search takes long where there are many keys, so no visitor waits for one, but for the first one after a while.
    The shared look tells which queues have an advice of their own.
    """

    def __init__(self, observer: Observer, shared_look: SharedLook) -> None:
        self._observer = observer
        self._shared_look = shared_look
        self._lock = threading.Lock()
        self._last_look = self._last_search = -OLD_SECONDS
        self._answer: SearchAnswer = [], []

    def look(self) -> SearchAnswer:
        """What nobody takes, and what nobody knows. A search asks the shared look: call this before that makes a page.

        Raises:
            RedisError: the server cannot be reached, or refuses.
        """
        self._last_look = time.monotonic()
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
            client, settings = self._observer.client, self._observer.settings
            queues = self._shared_look.make("queues", lambda overview: [queue.name for queue in overview.queues])
            self._answer = orphans(client, settings, queues), unknown_tasks(client, settings)
            self._last_search = time.monotonic()

    def _is_younger(self, age: float) -> bool:
        return time.monotonic() - self._last_search < age
