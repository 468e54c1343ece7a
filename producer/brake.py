"""Backpressure: a producer waits while the server's memory is three quarters full."""

import threading
import time
from collections.abc import Callable

from redis import Redis

from producer.deadline import Deadline

#: Shares of `maxmemory`: from the one on a producer waits, below the other it goes on.
FULL, ROOM = 0.75, 0.72
#: Seconds between two looks; between two times that somebody who waits is told what to do.
LOOK_SECONDS, TELL_SECONDS = 1.0, 10.0

_ADVICE = (
    "remove results while you read them (`gristmill results --follow --consume`), delete batches that are not needed "
    "(`gristmill forget`), or give the server more memory (maxmemory)"
)


class Stopped(Exception):
    """Raised in a producer that shall stop."""


class Full(TimeoutError):
    """Raised when the server is still full at the deadline."""


class Brake:
    """Holds one producer up while its server is full; `say` gets a line about it."""

    def __init__(self, client: Redis, say: Callable[[str], None], deadline: Deadline) -> None:
        self._client, self._say, self._deadline = client, say, deadline
        self._looked = float("-inf")
        self._used = self._most = 0
        self._spoke = False

    def wait(self, size: int, alive: Callable[[], None], stop: threading.Event, *, refused: bool = False) -> None:
        """Return when the server has room for `size` more bytes; `refused`: it has just said that it has none.

        `alive` is called once a second meanwhile.

        Raises:
            Stopped: `stop` is set.
            Full: it is still full at the deadline.
        """
        # What was sent since the last look counts as used.
        self._used += size
        if self._over(FULL) or time.monotonic() - self._looked > LOOK_SECONDS:
            self._look()
        if refused or self._over(FULL):
            self._hold(alive, stop)

    def _hold(self, alive: Callable[[], None], stop: threading.Event) -> None:
        begun = told = time.monotonic()
        # Whoever reads and removes results makes room again and again: that is said once.
        speaks, self._spoke = not self._spoke, True
        if speaks:
            self._say(f"{self._words()}: submitting waits for room")
        while True:
            if stop.wait(LOOK_SECONDS):
                raise Stopped
            if self._deadline.over:
                raise Full(f"{self._words()}, still after {self._deadline.seconds:g} s")
            alive()
            self._look()
            if not self._over(ROOM):
                break
            if time.monotonic() - told > TELL_SECONDS:
                speaks, told = True, time.monotonic()
                self._say(f"{self._words()}, submitting has waited for {told - begun:.0f} s: {_ADVICE}")
        if speaks:
            self._say(f"submitting goes on: it had waited for {time.monotonic() - begun:.0f} s for the server's memory")

    def _over(self, share: float) -> bool:
        return self._most > 0 and self._used >= share * self._most

    def _look(self) -> None:
        found = self._client.info("memory")
        # As the server itself counts: without what waits to be written to the AOF and to replicas.
        self._used = found["used_memory"] - found.get("mem_not_counted_for_evict", 0)
        self._most = found["maxmemory"]
        self._looked = time.monotonic()

    def _words(self) -> str:
        most = (
            f"{100 * self._used / self._most:.0f} % of its {self._most / (1 << 20):,.0f} MiB" if self._most else "all"
        )
        return f"the server has used {most} of memory"
