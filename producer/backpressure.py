"""Backpressure: a producer waits while the server's memory is three quarters full, or the server has no room at all."""

import threading
import time
from collections.abc import Callable
from typing import Any, Protocol

from redis import Redis
from redis.exceptions import NoPermissionError

from gristmill.config.figures import item_count
from gristmill.server.waiting import Deadline

#: Shares of `maxmemory`: a producer waits from the first on, and goes on below the second.
FULL, ROOM = 0.75, 0.72
#: Seconds between two looks at the server; between two lines about one wait.
LOOK_SECONDS, TELL_SECONDS = 1.0, 10.0

_ADVICE = (
    "remove results while you read them (`gristmill results --follow --consume`), delete batches that you do not need "
    "(`gristmill delete`), or give the server more room"
)


class Stopped(Exception):
    """Raised in a producer that has been told to stop."""


class Full(TimeoutError):
    """Raised when the server still has no room at the deadline."""


class Producer(Protocol):
    """A producer that waits: the number of items that it has stored, and the event that ends it."""

    stored: int
    stop: threading.Event

    def send_heartbeat(self) -> None:
        """Called once a second."""


class Backpressure:
    """Makes a producer wait while its server is full; `say` is called with each line about the wait."""

    def __init__(self, client: Redis, say: Callable[[str], None], deadline: Deadline) -> None:
        self._client, self._say, self._deadline = client, say, deadline
        self._looked = float("-inf")
        self._used = self._most = 0
        #: When this wait began (None: there is none), and when the last line about it was written.
        self._wait_start: float | None = None
        self._line_at = 0.0
        #: Whether there was a line about this wait, and about any wait.
        self._is_loud = self._was_loud = False

    def wait(self, size: int, producer: Producer) -> None:
        """Return when the server has room for `size` more bytes.

        Raises:
            Stopped, Full: as with `hold`.
        """
        while not self.has_room(size, self._client):
            self.hold(self.shortage(), producer)
            size = 0

    def has_room(self, size: int, client: Redis) -> bool:
        """Whether the server has room for `size` more bytes; `client` asks it, once a second at most."""
        # What was sent since the last look counts as used.
        self._used += size
        if self._over(ROOM) or time.monotonic() - self._looked > LOOK_SECONDS:
            self._look(client)
        return not self._over(FULL if self._wait_start is None else ROOM)

    def hold(self, reason: str, producer: Producer) -> None:
        """Wait for a second because of `reason`, and say so now and then until `release`.

        Raises:
            Stopped: `producer.stop` is set.
            Full: the deadline has passed.
        """
        self.tell(reason, producer)
        if producer.stop.wait(LOOK_SECONDS):
            raise Stopped
        if self._deadline.over:
            raise Full(f"{reason}, still after {self._deadline.seconds:g} s")
        producer.send_heartbeat()

    def tell(self, reason: str, producer: Producer) -> None:
        """Say now and then, until `release`, that the producer waits because of `reason`."""
        now = time.monotonic()
        if self._wait_start is None:
            self._wait_start = self._line_at = now
            # A reader that removes results makes room again and again: one line is enough.
            self._is_loud, self._was_loud = not self._was_loud, True
            if self._is_loud:
                self._say(f"{reason}; waiting for room, {item_count(producer.stored, 'are')} stored")
        elif now - self._line_at > TELL_SECONDS:
            self._line_at, self._is_loud = now, True
            self._say(f"{reason}; waiting for {now - self._wait_start:.0f} s now: {_ADVICE}")

    def release(self) -> None:
        """End the wait, and say so if there was a line about it."""
        if self._wait_start is not None and self._is_loud:
            self._say("there is room again: going on")
        self._wait_start = None

    def _over(self, share: float) -> bool:
        return self._most > 0 and self._used >= share * self._most

    def _look(self, client: Redis) -> None:
        self._looked = time.monotonic()
        try:
            memory: Any = client.info("memory")
        except NoPermissionError:
            # The server still refuses items when it is full, and the producer waits then.
            return
        # As the server counts: without the bytes that wait to be written to the AOF and to replicas.
        self._used = memory["used_memory"] - memory.get("mem_not_counted_for_evict", 0)
        self._most = memory["maxmemory"]

    def shortage(self) -> str:
        """How full the server's memory was at the last look."""
        return f"the server's memory is {100 * self._used / self._most:.0f} % full (of {self._most >> 20:,} MiB)"
