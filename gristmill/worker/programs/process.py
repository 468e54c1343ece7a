"""The process of a program: started without a copy of this process, waited for, and ended with all below it.

`posix_spawn` starts it, as `vfork` does: this process lends its memory until the program is loaded. `fork` would copy
the page tables of a worker first, which takes longer than most quick programs run.
"""

import errno
import os
import resource
import select
import signal
import sys
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import closing, contextmanager, suppress
from functools import cache
from pathlib import Path
from typing import NamedTuple

from gristmill.worker.limits import TimeLimitExceeded, limit_program, limited_start
from gristmill.worker.restoration.state import process_state

#: Milliseconds between two looks at a program that runs.
LOOK_MS = 100
#: Seconds that a program has after SIGTERM, when its time is over.
TERM_SECONDS = 2.0
#: `ru_maxrss` is in KiB, but in bytes on macOS.
_RSS_UNIT = 1 if sys.platform == "darwin" else 1024
_IN_DIRECTORY = 'cd -- "$1" && shift && exec "$@"'


class Ending(NamedTuple):
    """How a program ended: its exit code, or the name of the signal that ended it.

    `max_memory` is the most memory in bytes that one of its processes had in RAM; None when that is not known.
    """

    exit: int | None
    signal: str | None = None
    seconds: float = 0.0
    cpu_seconds: float = 0.0
    max_memory: int | None = None


class ProgramProcess:
    """A program that runs, in a session of its own, with the streams `stdin`, `stdout` and `stderr` (descriptors).

    Raises:
        OSError: it cannot be started.
    """

    def __init__(
        self,
        path: str,
        words: Sequence[str],
        environment: Mapping[bytes, bytes],
        workdir: str,
        stdin: int,
        stdout: int,
        stderr: int,
    ) -> None:
        self._peak = 0
        self._started_at = time.perf_counter()
        streams = [(os.POSIX_SPAWN_DUP2, stream, number) for number, stream in enumerate((stdin, stdout, stderr))]
        if workdir and threading.current_thread() is not threading.main_thread():
            # The directory is the whole process's, and other threads use it.
            path, words, workdir = "/bin/sh", ["sh", "-c", _IN_DIRECTORY, "sh", workdir, *words], ""
        with _in_directory(workdir), limited_start():
            try:
                self.pid = self._spawn(path, words, environment, streams)
            except OSError as error:
                if error.errno != errno.ENOEXEC:
                    raise
                # A script without a first line that names its interpreter: as execvp(3) does.
                self.pid = self._spawn("/bin/sh", ["sh", path, *words[1:]], environment, streams)
        limit_program(self.pid)

    @staticmethod
    def _spawn(
        path: str, words: Sequence[str], environment: Mapping[bytes, bytes], streams: list[tuple[int, int, int]]
    ) -> int:
        return os.posix_spawn(
            path,
            list(words),
            environment,
            file_actions=streams,
            setsid=True,
            setsigmask=(),
            setsigdef=_default_signals(),
        )

    def wait(self, overflows: Callable[[], bool]) -> Ending:
        """Wait for its end, and end what it has left; kill it once `overflows` says so, which is asked now and then."""
        with closing(_Waiter(self.pid)) as waiter:
            while not waiter.wait(LOOK_MS):
                self._look()
                if overflows():
                    self._kill(signal.SIGKILL)
        return self._reap()

    def end(self, error: BaseException) -> Ending:
        """End it because of `error`: kill it, but when its time is over let it end by itself first."""
        with closing(_Waiter(self.pid)) as waiter:
            if isinstance(error, TimeLimitExceeded):
                self._kill(signal.SIGTERM)
                waiter.wait(round(1000 * TERM_SECONDS))
            self._kill(signal.SIGKILL)
            waiter.wait(None)
        return self._reap()

    def _kill(self, number: int) -> None:
        with suppress(OSError):
            os.killpg(self.pid, number)

    def _look(self) -> None:
        """Note its memory: what the kernel tells at its end begins with the memory of this process."""
        with suppress(OSError, ValueError, IndexError):
            status = Path(f"/proc/{self.pid}/status").read_text(errors="replace")
            self._peak = max(self._peak, int(status.partition("VmHWM:")[2].split(maxsplit=1)[0]) << 10)

    def _reap(self) -> Ending:
        _, status, usage = os.wait4(self.pid, 0)
        seconds = time.perf_counter() - self._started_at
        process_state.end_children()
        code = os.waitstatus_to_exitcode(status)
        peak = usage.ru_maxrss * _RSS_UNIT
        if peak <= resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * _RSS_UNIT:
            peak = self._peak
        return Ending(
            code if code >= 0 else None,
            None if code >= 0 else name_of(-code),
            seconds,
            usage.ru_utime + usage.ru_stime,
            peak or None,
        )


class _Waiter:
    """Waits for the end of a child process, and leaves it to be reaped."""

    def __init__(self, pid: int) -> None:
        self._pid = pid
        self._descriptor = os.pidfd_open(pid) if hasattr(os, "pidfd_open") else -1
        if self._descriptor >= 0:
            self._poll = select.poll()
            self._poll.register(self._descriptor, select.POLLIN)

    def wait(self, milliseconds: int | None) -> bool:
        """Whether it ended within so many milliseconds; None waits for ever."""
        if self._descriptor >= 0:
            return bool(self._poll.poll(milliseconds))
        until = None if milliseconds is None else time.monotonic() + milliseconds / 1000
        pause = 0.0005
        while os.waitid(os.P_PID, self._pid, os.WEXITED | os.WNOHANG | os.WNOWAIT) is None:
            if until is not None and time.monotonic() > until:
                return False
            time.sleep(pause)
            pause = min(0.02, 2 * pause)
        return True

    def close(self) -> None:
        """Needed no more."""
        if self._descriptor >= 0:
            os.close(self._descriptor)


@contextmanager
def _in_directory(path: str) -> Iterator[None]:
    """Work in a directory for a moment; "" leaves the working directory as it is."""
    # Most programs run where their worker does: two calls tell, and four go there and back.
    if not path or os.path.samefile(path, "."):  # noqa: PTH121 (a Path takes longer than the calls)
        yield
        return
    before = os.open(".", os.O_RDONLY | os.O_CLOEXEC)
    try:
        os.chdir(path)
        yield
    finally:
        os.fchdir(before)
        os.close(before)


def cannot_start(words: Sequence[str], workdir: str, error: OSError) -> str:
    """Why a program did not start, in a line."""
    if workdir and error.filename == workdir:
        return f"invalid value for workdir: {workdir!r} ({error.strerror}; expected a directory of the worker's host)"
    reason = error.strerror
    if isinstance(error, FileNotFoundError):
        is_there = error.filename and "/" in error.filename and Path(workdir, error.filename).exists()
        reason = "no such interpreter as its first line names" if is_there else "no such program"
    return f"cannot run {words[0]!r}: {reason}"


def name_of(number: int) -> str:
    """The name of a signal: `SIGKILL`."""
    try:
        return signal.Signals(number).name
    except ValueError:
        return f"SIG{number}"


@cache
def _default_signals() -> tuple[int, ...]:
    """The signals that this process ignores, as Python does SIGPIPE: a program finds them as others start it."""
    return tuple(number for number in signal.valid_signals() if signal.getsignal(number) is signal.SIG_IGN)


@cache
def descriptor_of_null() -> int:
    """A descriptor of /dev/null: what a program reads."""
    return os.open(os.devnull, os.O_RDONLY | os.O_CLOEXEC)
