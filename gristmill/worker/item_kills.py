"""Ends the run of one item that somebody cancelled."""

import logging
import os
import signal
from contextlib import suppress
from typing import Any

from celery.worker import state

from gristmill.worker.celery_internals import members_of
from gristmill.worker.loop.event_loop import cancel_item
from gristmill.worker.runs.rows import run_rows

log = logging.getLogger(__name__)


def end_item(batch: str, index: int, pool: Any) -> bool:
    """End the run of an item in this worker, whose pool is `pool`; False while its process may still live.

    The message of a pool process that is killed is acknowledged. The server puts it again for the chunk's other items,
    and has this one as cancelled. In quarantine, the item begins anew a few times.
    """
    if cancel_item(batch, index):
        log.info("cancelled the coroutine of item %d of batch %s", index, batch)
        return True
    for run in run_rows.table.runs() if run_rows.table else ():
        if (run.batch, run.index) != (batch, index):
            continue
        if run.pid == os.getpid():
            log.warning("item %d of batch %s was cancelled, but its thread goes on", index, batch)
            return True
        _kill(run.pid, pool)
        log.info("ended process %d with item %d of batch %s, which was cancelled", run.pid, index, batch)
        return False
    return True


def _kill(pid: int, pool: Any) -> None:
    """Kill a process of the pool, or a child of one."""
    for request in members_of(state.active_requests):
        if request.worker_pid == pid:
            # Celery would take its death for a fault otherwise.
            request.terminate(pool, signal="SIGKILL")
            return
    with suppress(ProcessLookupError):
        os.kill(pid, signal.SIGKILL)
