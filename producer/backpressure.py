"""Backpressure: a producer waits while the server's memory is three quarters full, or has no room at all."""

import threading
import time
from collections.abc import Callable
from typing import Protocol

from redis import Redis

from gristmill.producer.deadline import Deadline

#: Shares of `maxmemory`: from the one on a producer waits, below the other it goes on.
FULL, ROOM = 0.75, 0.72
#: Seconds between two looks; between two times that somebody who waits is told what to do.
LOOK_SECONDS, TELL_SECONDS = 1.0, 10.0

_ADVICE = (
    "remove results while you read them (`gristmill results --follow --consume`), delete batches that are not needed "
    "(`gristmill delete`), or give the server more room"
)


class Stopped(Exception):
    """Raised in a producer that shall stop."""


class Full(TimeoutError):
    """Raised when the server still has no room at the deadline."""


class Producer(Protocol):
    """Who waits: the items that it has stored, and what sets an end to it."""

    stored: int
    stop: threading.Event

    def send_heartbeat(self) -> None:
        """Called once a second."""


class Backpressure:
    """Holds a producer up while its server is full; `say` gets a line about it."""

    def __init__(self, client: Redis, say: Callable[[str], None], deadline: Deadline) -> None:
        self._client, self._say, self._deadline = client, say, deadline
        self._looked = float("-inf")
        self._used = self._most = 0
        #: When this wait began and when it was last spoken of; whether it was, and whether any was before.
        self._begun: float | None = None
        self._told = 0.0
        self._speaks = self._spoke = False

    def wait(self, size: int, producer: Producer) -> None:
        """Return when the server has room for `size` more bytes.

        Raises:
            Stopped, Full: as with `hold`.
        """
        # What was sent since the last look counts as used.
        self._used += size
        if self._over(FULL) or time.monotonic() - self._looked > LOOK_SECONDS:
            self._look()
        while self._over(FULL if self._begun is None else ROOM):
            self.hold(self._words(), producer)
            self._look()

    def hold(self, why: str, producer: Producer) -> None:
        """Wait for a second because of `why`, and say so now and then until `release`.

        Raises:
            Stopped: `producer.stop` is set.
            Full: the deadline has come.
        """
        now = time.monotonic()
        if self._begun is None:
            self._begun = self._told = now
            # Whoever reads and removes results makes room again and again: that is said once.
            self._speaks, self._spoke = not self._spoke, True
            if self._speaks:
                self._say(f"{why}; waiting for room, {producer.stored:,} items are stored")
        elif now - self._told > TELL_SECONDS:
            self._told, self._speaks = now, True
            self._say(f"{why}; waiting for {now - self._begun:.0f} s now: {_ADVICE}")
        if producer.stop.wait(LOOK_SECONDS):
            raise Stopped
        if self._deadline.over:
            raise Full(f"{why}, still after {self._deadline.seconds:g} s")
        producer.send_heartbeat()

    def release(self) -> None:
        """Say that the wait is over, if there was one that was spoken of."""
        if self._begun is not None and self._speaks:
            self._say("there is room again: going on")
        self._begun = None

    def _over(self, share: float) -> bool:
        return self._most > 0 and self._used >= share * self._most

    def _look(self) -> None:
        found = self._client.info("memory")
        # As the server itself counts: without what waits to be written to the AOF and to replicas.
        self._used = found["used_memory"] - found.get("mem_not_counted_for_evict", 0)
        self._most = found["maxmemory"]
        self._looked = time.monotonic()

    def _words(self) -> str:
        return f"the server's memory is {100 * self._used / self._most:.0f} % full (of {self._most >> 20:,} MiB)"
