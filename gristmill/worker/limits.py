"""Limits on one item: its run time, and the memory of its process."""

import faulthandler
import resource
import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from math import inf
from pathlib import Path
from signal import SIGALRM, getitimer, getsignal, setitimer
from time import perf_counter
from typing import Any

from gristmill.batches.chunk import Work
from gristmill.config.host import memory
from gristmill.config.settings import Settings
from gristmill.tasks.task import GristmillTask

#: Seconds after its time limit at which the process of an item that cannot be interrupted ends.
GRACE_SECONDS = 5.0
#: The share of the host's memory for all slots when no limit is set, and the least bytes for one slot.
MEMORY_SHARE, LEAST_MEMORY = 0.8, 256 << 20


class TimeLimitExceeded(Exception):
    """Raised in an item that runs longer than its time limit of `seconds`, or in a task's setup: `what` it was."""

    #: How the item's program ended, if it ran one.
    outcome: dict[str, Any] | None = None

    def __init__(self, seconds: float, what: str = "item") -> None:
        super().__init__(f"the {what} ran longer than its time limit of {seconds:g} s")


class TimeLimit:
    """The time limit of a pool process, which runs items in its main thread.

    First an exception interrupts the item, as soon as C code returns to Python. GRACE_SECONDS later the process ends,
    even while C code holds the GIL (`faulthandler.dump_traceback_later`).
    """

    def __init__(self) -> None:
        self._seconds = 0.0
        self._what = ""
        self._started_at: float | None = None
        #: When an item is to renew the guard of the process, and whether there is one.
        self._guard_at, self._is_guarded = inf, False

    @contextmanager
    def armed(self, seconds: float, what: str = "item") -> Iterator[None]:
        """Limit each item, or `what` runs, to `seconds` in this context; not with 0, or outside the main thread."""
        if not seconds or threading.current_thread() is not threading.main_thread():
            yield
            return
        self._seconds, self._what, self._guard_at, self._started_at = seconds, what, 0.0, None
        signal.signal(signal.SIGALRM, self._ring)
        signal.setitimer(signal.ITIMER_REAL, seconds)
        try:
            yield
        finally:
            self._seconds = 0.0
            signal.setitimer(signal.ITIMER_REAL, 0)
            self.rest()

    def begin(self, started_at: float) -> None:
        """Start the clock of an item, at `started_at` of `time.perf_counter()`, until `end`; makes no call."""
        self._started_at = started_at
        if started_at > self._guard_at:
            # This starts a thread, so once a second at most: the end may be a second late. Celery replaces sys.stderr.
            self._guard_at, self._is_guarded = started_at + 1, True
            faulthandler.dump_traceback_later(self._seconds + GRACE_SECONDS + 1, exit=True, file=2)

    def end(self) -> None:
        """Stop the clock of the item."""
        self._started_at = None

    def rest(self) -> None:
        """Stop the guard of the process until the next item starts: the server may be away for long in between."""
        self._guard_at = 0.0 if self._seconds else inf
        if self._is_guarded:
            self._is_guarded = False
            faulthandler.cancel_dump_traceback_later()

    def repair(self) -> None:
        """Set the alarm again which an item has taken, or stop the one that an item has set."""
        if not self._seconds:
            if getitimer(signal.ITIMER_REAL)[0]:
                setitimer(signal.ITIMER_REAL, 0)
            return
        if getsignal(SIGALRM) != self._ring:
            signal.signal(SIGALRM, self._ring)
        if not 0 < getitimer(signal.ITIMER_REAL)[0] <= self._seconds:
            setitimer(signal.ITIMER_REAL, self._seconds)

    def _ring(self, _signum: int, _frame: Any) -> None:
        remaining = self._seconds
        if self._started_at is not None:
            remaining += self._started_at - perf_counter()
        if remaining > 0:
            # The alarm was set for an item that has ended.
            signal.setitimer(signal.ITIMER_REAL, remaining)
        elif self._seconds:
            self._started_at = None
            signal.setitimer(signal.ITIMER_REAL, self._seconds)
            raise TimeLimitExceeded(self._seconds, self._what)


#: The time limit of this process.
time_limit = TimeLimit()


def seconds_of(work: Work, task: GristmillTask, settings: Settings) -> float:
    """The time limit of an item, 0 for none: its batch's, else its task's, else the setting."""
    if work.time_limit is not None:
        return work.time_limit
    return settings.time_limit if task.time_limit is None else task.time_limit


def setup_seconds(task: GristmillTask, settings: Settings) -> float:
    """The time limit of a task's setup, 0 for none: the setting, or the limit of the task's items if that is longer."""
    seconds = settings.time_limit, settings.time_limit if task.time_limit is None else task.time_limit
    return max(seconds) if all(seconds) else 0.0


def slot_memory(settings: Settings, slots: int) -> int:
    """Bytes that one slot's process may use: the setting, else an equal share of the host's memory."""
    return settings.slot_memory or max(LEAST_MEMORY, int(memory() * MEMORY_SHARE / slots))


def worker_memory(settings: Settings) -> int:
    """Bytes that the items of one worker may reserve together: the setting, else a share of the host's memory."""
    return settings.worker_memory or int(memory() * MEMORY_SHARE)


#: Bytes that a program of an item may allocate; 0: as many as the system lets it.
_program_bytes = 0
#: Bytes that a program may allocate from its start until `limit_program`; 0: as many as this process.
_first_bytes = 0
#: Bytes that this process may need beyond what it has while it runs a chunk with such a limit.
_ROOM = 32 << 20


@contextmanager
def limited_start() -> Iterator[None]:
    """Have a program that is started in this context begin with a limit: it may fork before `limit_program`.

    The program inherits it, so that for this moment it is this process's too: where an item may allocate less than that
    has, the program begins with a little more than that.
    """
    if not _first_bytes:
        yield
        return
    before = resource.getrlimit(resource.RLIMIT_DATA)
    try:
        # Within: the alarm of a time limit may ring behind any call.
        resource.setrlimit(resource.RLIMIT_DATA, (min(_first_bytes, before[0]), before[1]))
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_DATA, before)


def limit_program(pid: int) -> None:
    """Let a program that has just been started allocate what an item may: its own bytes count, and not this process's.

    Where the system cannot do that, the program has the limit of this process.
    """
    if _program_bytes and hasattr(resource, "prlimit"):
        hard = resource.getrlimit(resource.RLIMIT_DATA)[1]
        most = _program_bytes if hard < 0 else min(_program_bytes, hard)
        with suppress(OSError):
            resource.prlimit(pid, resource.RLIMIT_DATA, (most, most))


@contextmanager
def memory_limit(size: int) -> Iterator[None]:
    """Let this process allocate `size` bytes beyond what it has now; 0 changes nothing, nor does a thread of many."""
    if not size or threading.current_thread() is not threading.main_thread():
        yield
        return
    global _program_bytes, _first_bytes
    before, programs = resource.getrlimit(resource.RLIMIT_DATA), (_program_bytes, _first_bytes)
    own = _data_bytes()
    _limit_data(own + size)
    _program_bytes, _first_bytes = size, max(size, own + _ROOM)
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_DATA, before)
        _program_bytes, _first_bytes = programs


#: Bytes of private writable memory that this process, and those forked from it, share.
_shared_bytes = 0


@contextmanager
def share_memory() -> Iterator[None]:
    """Leave out of the limits of processes that are forked from this one what is loaded in this context."""
    global _shared_bytes  # noqa: PLW0603
    before = _data_bytes()
    yield
    _shared_bytes += max(0, _data_bytes() - before)


def _data_bytes() -> int:
    """What RLIMIT_DATA counts of this process; 0 where the system does not say."""
    try:
        pages = Path("/proc/self/statm").read_text().split()[5]
    except OSError:
        return 0
    return int(pages) * resource.getpagesize()


def limit_memory(size: int) -> None:
    """Let this process allocate at most `size` bytes: Python raises MemoryError beyond that, C code may end.

    Counts private writable memory (RLIMIT_DATA), not mapped files or shared memory, nor what `share_memory` counted.
    """
    global _program_bytes  # noqa: PLW0603
    _program_bytes = size
    _limit_data(size + _shared_bytes)


def _limit_data(size: int) -> None:
    hard = resource.getrlimit(resource.RLIMIT_DATA)[1]
    resource.setrlimit(resource.RLIMIT_DATA, (size if hard < 0 else min(size, hard), hard))
