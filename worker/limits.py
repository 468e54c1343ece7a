"""Limits on one item: how long it may take, and how much memory its process may have."""

import faulthandler
import resource
import signal
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from config.host import memory
from config.settings import Settings

#: Seconds after its limit at which an item that cannot be interrupted ends with its process.
GRACE_SECONDS = 5.0
#: Share of the host's memory that is for slots when no limit is set, and the bytes that one gets in any case.
MEMORY_SHARE, LEAST_MEMORY = 0.8, 256 << 20


class TimeLimitExceeded(Exception):
    """Raised in an item that takes longer than its time limit."""

    def __init__(self, seconds: float) -> None:
        super().__init__(f"it took longer than its time limit of {seconds:g} s")


class TimeLimit:
    """The time limit of a pool process, which runs items in its main thread."""

    def __init__(self) -> None:
        self.seconds = 0.0
        self._armed_at = self._armed_for = 0.0

    @contextmanager
    def __call__(self, seconds: float) -> Iterator[None]:
        """Interrupt what runs in this context after `seconds`; 0, or another thread: never.

        First by an exception, which waits for C code to return; GRACE_SECONDS later by the end of the process,
        which does not even need the GIL (`faulthandler.dump_traceback_later`).

        Raises:
            TimeLimitExceeded: it took too long.
        """
        if not seconds or threading.current_thread() is not threading.main_thread():
            yield
            return
        if signal.getsignal(signal.SIGALRM) is not _interrupt:
            signal.signal(signal.SIGALRM, _interrupt)
        self.seconds = seconds
        self._guard(seconds)
        signal.setitimer(signal.ITIMER_REAL, seconds)
        try:
            yield
        finally:
            signal.setitimer(signal.ITIMER_REAL, 0)

    def _guard(self, seconds: float) -> None:
        # It starts a thread, so not for every item: a second later at most.
        now = time.monotonic()
        if now - self._armed_at > 1 or self._armed_for != seconds:
            self._armed_at, self._armed_for = now, seconds
            # Not to sys.stderr, which Celery replaces.
            faulthandler.dump_traceback_later(seconds + GRACE_SECONDS + 1, exit=True, file=2)

    def rest(self) -> None:
        """Say that nothing runs any more."""
        if self._armed_for:
            faulthandler.cancel_dump_traceback_later()
            self._armed_at = self._armed_for = 0.0


def _interrupt(_signum: int, _frame: Any) -> None:
    raise TimeLimitExceeded(time_limit.seconds)


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
