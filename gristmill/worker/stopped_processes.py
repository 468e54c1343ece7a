"""Ends processes of a pool that stand still, where nothing that runs in them can keep the time limit of their item."""

import logging
import os
import signal
import time
from collections.abc import Collection
from contextlib import suppress
from pathlib import Path

from gristmill.local.descendants import descendants, status
from gristmill.worker.runs.rows import LEAST_SECONDS, run_rows
from gristmill.worker.runs.table import ItemRun

#: Seconds after which a process ends that is stopped while it runs nothing.
IDLE_SECONDS = 5.0

log = logging.getLogger(__name__)
#: Since when a process that runs nothing has been stopped, in seconds of `time.monotonic()`.
_stopped_since: dict[int, float] = {}


def end_stopped_processes(others: Collection[int] = ()) -> None:
    """Kill each process that is stopped beyond the time limit of its item, or for ever. Linux only.

    Of `others`, those that run no item either, not in a child of theirs, are stopped for IDLE_SECONDS at most: what an
    item has left stops them, and a message that one gets would never begin.
    """
    runs = [*run_rows.table.runs()] if run_rows.table else []
    running = {run.pid for run in runs}
    _end_idle({*others} - running - {about[1] for pid in running if (about := status(pid))})
    for run in runs:
        # Its number may be another process's by now.
        if _is_over(run) and run.pid in descendants(os.getpid()):
            log.warning(
                "ended process %d, stopped by item %d of batch %s or by somebody", run.pid, run.index, run.batch
            )
            with suppress(OSError):
                os.kill(run.pid, signal.SIGKILL)


def _end_idle(pids: set[int]) -> None:
    now, stopped = time.monotonic(), {pid for pid in pids if _is_stopped(pid)}
    for pid in _stopped_since.keys() - stopped:
        del _stopped_since[pid]
    for pid in stopped:
        if now - _stopped_since.setdefault(pid, now) > IDLE_SECONDS and pid in descendants(os.getpid()):
            log.warning("ended process %d, which was stopped while it ran no item", pid)
            with suppress(OSError):
                os.kill(pid, signal.SIGKILL)


def _is_stopped(pid: int) -> bool:
    about = status(pid)
    return about is not None and about[0] in "Tt"


def _is_over(run: ItemRun) -> bool:
    if run.seconds < LEAST_SECONDS or not _is_stopped(run.pid):
        return False
    # Who has asked to be traced by its parent (ptrace) is: by this process, which never lets it go on.
    return 0 < run.limit < run.seconds or _tracer(run.pid) == os.getpid()


def _tracer(pid: int) -> int:
    with suppress(OSError):
        for line in Path(f"/proc/{pid}/status").read_text(errors="replace").splitlines():
            name, _, value = line.partition(":")
            if name == "TracerPid":
                return int(value)
    return 0
