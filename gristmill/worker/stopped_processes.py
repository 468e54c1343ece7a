"""Ends processes of a pool that stand still, where nothing that runs in them can keep the time limit of their item."""

import logging
import os
import signal
from contextlib import suppress
from pathlib import Path

from gristmill.local.descendants import descendants, status
from gristmill.worker.runs.rows import run_rows
from gristmill.worker.runs.table import ItemRun

log = logging.getLogger(__name__)


def end_stopped_processes() -> None:
    """Kill each process that is stopped beyond the time limit of its item, or for ever. Linux only."""
    for run in run_rows.long():
        # Its number may be another process's by now.
        if _is_over(run) and run.pid in descendants(os.getpid()):
            log.warning(
                "ended process %d, stopped by item %d of batch %s or by somebody", run.pid, run.index, run.batch
            )
            with suppress(OSError):
                os.kill(run.pid, signal.SIGKILL)


def _is_over(run: ItemRun) -> bool:
    about = status(run.pid)
    if about is None or about[0] not in "Tt":
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
