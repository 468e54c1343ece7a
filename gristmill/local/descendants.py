"""The processes below a process, found by parentage: a daemon that has left its session is among them.

A *subreaper* gets the processes whose own parent has died, as `init` does elsewhere; Linux only.
"""

import ctypes
import os
import signal
import sys
import time
from collections.abc import Collection
from contextlib import suppress
from pathlib import Path

#: Numbers of Linux's prctl.
_PARENT_DEATH_SIGNAL, _SET_SUBREAPER, _GET_SUBREAPER = 1, 36, 37
#: Seconds for which to kill what cannot be gone at once, and between two looks.
END_SECONDS, LOOK_SECONDS = 5.0, 0.002
#: Opened once, and not by each process that is forked from this one.
_libc = ctypes.CDLL(None)
_PROC = Path("/proc")
_ON_LINUX = sys.platform == "linux"


def become_subreaper() -> None:
    """Be the parent of each descendant whose own parent dies; processes that this one forks are not subreapers."""
    if _ON_LINUX:
        _libc.prctl(_SET_SUBREAPER, 1, 0, 0, 0)


def is_subreaper() -> bool:
    """Whether this process is the parent of each descendant whose own parent dies."""
    answer = ctypes.c_int(0)
    if _ON_LINUX:
        _libc.prctl(_GET_SUBREAPER, ctypes.byref(answer), 0, 0, 0)
    return bool(answer.value)


def set_parent_death_signal(number: int) -> None:
    """Get the signal when the *thread* that has forked this process ends; 0 for none."""
    if _ON_LINUX:
        _libc.prctl(_PARENT_DEATH_SIGNAL, number, 0, 0, 0)


def status(pid: int) -> tuple[str, int, int] | None:
    """The state letter, the parent and the start time (clock ticks since the boot) of a process, if there is one."""
    try:
        text = (_PROC / str(pid) / "stat").read_text(errors="replace")
    except OSError:
        return None
    # The name of the program, in parentheses, may contain anything.
    fields = text.rpartition(")")[2].split()
    return fields[0], int(fields[1]), int(fields[19])


def children(pid: int) -> set[int]:
    """The ids of the children of a process, those that have ended and were not waited for among them."""
    if not _ON_LINUX:
        return _children_elsewhere(pid)
    try:
        threads = os.listdir(f"/proc/{pid}/task")  # noqa: PTH208
        return {child for thread in threads for child in children_of_thread(pid, int(thread))}
    except FileNotFoundError:
        # No such process, or a kernel without CONFIG_PROC_CHILDREN.
        pids = [int(name) for name in os.listdir(_PROC) if name.isdigit()]  # noqa: PTH208
        return {each for each in pids if (about := status(each)) and about[1] == pid}


def children_of_thread(pid: int, thread: int) -> set[int]:
    """The ids of the children that a thread of a process has started, or adopted; Linux only.

    Raises:
        FileNotFoundError: there is no such thread, or no such list in this kernel.
    """
    return {int(child) for child in _read(f"/proc/{pid}/task/{thread}/children").split()}


def _read(path: str) -> bytes:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        parts = []
        while part := os.read(descriptor, 65536):
            parts.append(part)
        return b"".join(parts)
    except ProcessLookupError:
        # A thread that has just ended.
        return b"".join(parts)
    finally:
        os.close(descriptor)


def _children_elsewhere(pid: int) -> set[int]:
    import psutil

    with suppress(psutil.Error):
        return {child.pid for child in psutil.Process(pid).children()}
    return set()


def descendants(pid: int, spare: Collection[int] = ()) -> list[int]:
    """The ids of all processes below a process, without those to `spare` and what is below these."""
    every: dict[int, None] = {}
    new = [pid]
    while new:
        new = [child for parent in new for child in children(parent) if child not in every and child not in spare]
        every.update(dict.fromkeys(new))
    return list(every)


def stop_descendants(pid: int) -> None:
    """Stop all processes below a process, until they are ended."""
    for each in descendants(pid):
        with suppress(OSError):
            os.kill(each, signal.SIGSTOP)


def end_descendants(pid: int, spare: Collection[int] = ()) -> int:
    """Kill all processes below a process until there are none, and wait for those of this process.

    Returns the number of processes that ran. To leave none behind, `pid` is a subreaper that starts nothing meanwhile.
    """
    deadline = time.monotonic() + END_SECONDS
    ended: set[int] = set()
    clean = 0
    # A list of children may lack one when another ends while the kernel makes the list.
    while clean < 2 and time.monotonic() < deadline:
        running = [each for each in descendants(pid, spare) if not _reaped(each, pid)]
        for each in running:
            with suppress(OSError):
                os.kill(each, signal.SIGKILL)
        ended.update(running)
        clean = 0 if running else clean + 1
        if running:
            time.sleep(LOOK_SECONDS)
    return len(ended)


def _reaped(pid: int, ancestor: int) -> bool:
    """Whether a process has ended. A child of this process is waited for."""
    if _ON_LINUX:
        about = status(pid)
        if about is not None and about[0] not in "ZX":
            return False
        if about is None or about[1] != os.getpid():
            return True
    if ancestor == os.getpid():
        with suppress(OSError):
            return os.waitpid(pid, os.WNOHANG)[0] == pid
    return True


def end_tree(pid: int) -> None:
    """Kill a process and all below it: it is stopped first, so that it starts nothing and keeps adopting orphans."""
    with suppress(OSError):
        os.kill(pid, signal.SIGSTOP)
        deadline = time.monotonic() + END_SECONDS
        while (about := status(pid)) and about[0] not in "TtZX" and time.monotonic() < deadline:
            time.sleep(LOOK_SECONDS)
        end_descendants(pid)
        os.kill(pid, signal.SIGKILL)
