"""What every peer runs, and the tally that its processes keep: a page of a file each, so that counting costs all alike.

Only the standard library: it runs in each peer's environment. BENCH_TALLY names the directory of the tally.
"""

import mmap
import os
import struct
import threading
import time
from collections.abc import Sequence

#: A page: tasks done, and the Unix time of the last.
PAGE = struct.Struct("qd")
#: One wait, in seconds, from being submitted to beginning.
WAIT = struct.Struct("d")


class ProcessTally:
    """The page of this process, and the file beside it with how long tasks waited."""

    def __init__(self, directory: str) -> None:
        self.pid, self._count, self._lock = os.getpid(), 0, threading.Lock()
        name = f"{directory}/{self.pid}"
        file = os.open(f"{name}.page", os.O_RDWR | os.O_CREAT, 0o600)
        os.ftruncate(file, PAGE.size)
        self._page = mmap.mmap(file, PAGE.size)
        os.close(file)
        self._waits = os.open(f"{name}.waits", os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)

    def done(self) -> None:
        """Count one."""
        with self._lock:
            self._count += 1
            PAGE.pack_into(self._page, 0, self._count, time.time())

    def waited(self, seconds: float) -> None:
        """Note how long a task waited."""
        os.write(self._waits, WAIT.pack(seconds))


_tally: ProcessTally | None = None
_making = threading.Lock()


def tally() -> ProcessTally:
    """The tally of this process, which may have been forked from one that has its own."""
    global _tally  # noqa: PLW0603 - one a process
    if _tally is None or _tally.pid != os.getpid():
        with _making:
            if _tally is None or _tally.pid != os.getpid():
                _tally = ProcessTally(os.environ["BENCH_TALLY"])
    return _tally


def fibonacci(n: int) -> int:
    """The textbook's."""
    return n if n < 2 else fibonacci(n - 1) + fibonacci(n - 2)


def size(number: int) -> int:
    """Which Fibonacci number the task of this number computes: 18 to 27, which takes about 10 ms on average."""
    return 18 + number % 10


#: Seconds of a wait.
WAIT_SECONDS = 0.1


def noop(number: int) -> None:  # noqa: ARG001 - like the others
    """Nothing at all."""
    tally().done()


def lot(numbers: Sequence[int]) -> None:
    """Many no-ops in one message, as a user would pack them by hand."""
    for number in numbers:
        noop(number)


def cpu(number: int) -> None:
    """About 10 ms of CPU."""
    fibonacci(size(number))
    tally().done()


def fib10(number: int) -> None:  # noqa: ARG001 - like the others
    """The light task of Windmill's comparison."""
    fibonacci(10)
    tally().done()


def fib33(number: int) -> None:  # noqa: ARG001 - like the others
    """The long task of Windmill's comparison."""
    fibonacci(33)
    tally().done()


def wait(number: int) -> None:  # noqa: ARG001 - like the others
    """100 ms of waiting."""
    time.sleep(WAIT_SECONDS)
    tally().done()


def light(submitted: float) -> None:
    """Note how long it is since then, a Unix time."""
    tally().waited(time.time() - submitted)
    tally().done()


#: Seconds of a task whose begin and end are marked.
MARKED_SECONDS = 0.5
#: One mark: the task's number, the process, 1 if it ended, and the Unix time.
MARK = struct.Struct("qqqd")


def mark(number: int, event: str) -> None:
    """Note that a task began or ended, in a file that survives the process; a kill cannot tear so short a write."""
    file = os.open(os.environ["BENCH_TALLY"] + "/marks", os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
    os.write(file, MARK.pack(number, os.getpid(), event == "ended", time.time()))
    os.close(file)


def marked(number: int) -> None:
    """Half a second of waiting, with a mark at its begin and its end."""
    mark(number, "began")
    time.sleep(MARKED_SECONDS)
    mark(number, "ended")


TASKS = (noop, lot, cpu, fib10, fib33, wait, light, marked)
