"""Sends what items write, while they run, to the commands that listen to their batch."""

import threading
import time
from collections.abc import Callable
from contextlib import suppress

from redis.exceptions import RedisError

from gristmill.batches.lines import LineChannel
from gristmill.config.settings import settings
from gristmill.errors import GristmillError
from gristmill.server.connection import client
from gristmill.worker.output.log_text import redacted

#: Bytes of a batch that wait to be sent, at most: who writes faster than that is not read live.
WAITING_BYTES = 64 << 10
#: Seconds until a batch to which nobody listened is tried again.
DEAF_SECONDS = 1.0

Say = Callable[[str, list[tuple[int, str]]], bool]


def _say(batch: str, lines: list[tuple[int, str]]) -> bool:
    return LineChannel(client(), settings()).say(batch, lines)


class LiveLines:
    """The lines of this process that are to be sent; threads share it."""

    def __init__(self, say: Say = _say) -> None:
        self._say = say
        self._lock, self._wants_sending = threading.Lock(), threading.Event()
        self._waiting: dict[str, list[tuple[int, str]]] = {}
        self._bytes = 0
        #: Until when nobody is told of a batch.
        self._deaf: dict[str, float] = {}

    def add(self, batch: str, index: int, text: bytes) -> None:
        """An item has written text: whole lines, or the end of its output."""
        if not batch or self._deaf.get(batch, 0) > time.monotonic() or self._bytes > WAITING_BYTES:
            return
        with self._lock:
            self._waiting.setdefault(batch, []).append((index, redacted(text.decode(errors="backslashreplace"))))
            self._bytes += len(text)
            self._wants_sending.set()

    def wait(self) -> None:
        """Wait until there is something to send."""
        self._wants_sending.wait()

    def send(self) -> None:
        """Send what waits; a server that does not answer loses it."""
        if not self._waiting:
            return
        with self._lock:
            self._wants_sending.clear()
            waiting, self._waiting, self._bytes = self._waiting, {}, 0
        now = time.monotonic()
        self._deaf = {batch: until for batch, until in self._deaf.items() if until > now}
        for batch, lines in waiting.items():
            with suppress(RedisError, GristmillError):
                if self._say(batch, lines):
                    continue
            self._deaf[batch] = now + DEAF_SECONDS
