"""Limits on one item: how long it may take, and how much memory its process may have."""

import faulthandler
import resource
import signal
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from gristmill.config.host import memory
from gristmill.config.settings import Settings

#: Seconds after its limit at which an item that cannot be interrupted ends with its process.
GRACE_SECONDS = 5.0
#: Share of the host's memory that is for slots when no limit is set, and the bytes that one gets in any case.
MEMORY_SHARE, LEAST_MEMORY = 0.8, 256 << 20


class TimeLimitExceeded(Exception):
    """Raised in an item that takes longer than its time limit."""

    def __init__(self, seconds: float) -> None:
        super().__init__(f"it took longer than its time limit of {seconds:g} s")


class TimeLimit:
    """The time limit of a pool process, which runs items in its main thread.

    First an exception interrupts the item, which waits for C code to return; GRACE_SECONDS later the process
    ends, which does not even need the GIL (`faulthandler.dump_traceback_later`).
    """

    def __init__(self) -> None:
        self._seconds = self._guarded_at = 0.0
        self._begun: float | None = None

    @contextmanager
    def armed(self, seconds: float) -> Iterator[None]:
        """Limit each item in this context to `seconds`; 0, or in another thread: to nothing."""
        if not seconds or threading.current_thread() is not threading.main_thread():
            yield
            return
        self._seconds = seconds
        signal.signal(signal.SIGALRM, self._ring)
        signal.setitimer(signal.ITIMER_REAL, seconds)
        try:
            yield
        finally:
            self._seconds = 0.0
            signal.setitimer(signal.ITIMER_REAL, 0)
            self.rest()

    def begin(self) -> None:
        """An item begins; it may be interrupted until `end`. Costs no system call, as a rule."""
        self._begun = now = time.monotonic()
        if self._seconds and now - self._guarded_at > 1:
            # It starts a thread, so not for every item: the end may come a second later. Celery replaces sys.stderr.
            self._guarded_at = now
            faulthandler.dump_traceback_later(self._seconds + GRACE_SECONDS + 1, exit=True, file=2)

    def end(self) -> None:
        """The item has ended."""
        self._begun = None

    def rest(self) -> None:
        """No item runs until the next one begins, however long that takes: the server may be away meanwhile."""
        if self._guarded_at:
            self._guarded_at = 0.0
            faulthandler.cancel_dump_traceback_later()

    def _ring(self, _signum: int, _frame: Any) -> None:
        left = self._seconds if self._begun is None else self._begun + self._seconds - time.monotonic()
        if left > 0:
            # The item for which it was set has ended.
            signal.setitimer(signal.ITIMER_REAL, left)
        elif self._seconds:
            self._begun = None
            signal.setitimer(signal.ITIMER_REAL, self._seconds)
            raise TimeLimitExceeded(self._seconds)


#: That of this process.
time_limit = TimeLimit()


def slot_memory(settings: Settings, slots: int) -> int:
    """Bytes that the process of one slot may have: the setting, else its share of what the host lets us use."""
    return settings.slot_memory or max(LEAST_MEMORY, int(memory() * MEMORY_SHARE / slots))


def limit_memory(size: int) -> None:
    """Let this process allocate at most `size` bytes: Python raises MemoryError beyond that, C code may end.

    Counts private writable memory (RLIMIT_DATA), not mapped files or shared memory.
    """
    hard = resource.getrlimit(resource.RLIMIT_DATA)[1]
    resource.setrlimit(resource.RLIMIT_DATA, (size if hard < 0 else min(size, hard), hard))
