"""Ends what `cancel --kill` cancelled while this worker ran it."""

import logging
import os
import signal
from collections.abc import Iterable
from contextlib import suppress
from typing import Any

from celery.worker import state

from gristmill.worker.celery_internals import in_loop, members_of, taken_requests
from gristmill.worker.loop.event_loop import cancel_item
from gristmill.worker.runs.rows import run_rows

#: Seconds after a kill at which to look whether the process has died.
LOOK_SECONDS = 0.1

log = logging.getLogger(__name__)


class Kills:
    """The messages and items that a worker is to end; the server repeats them with each heartbeat until they have."""

    def __init__(self, worker: Any) -> None:
        self._worker = worker
        self._ids: set[str] = set()
        self._ended: set[str] = set()

    def ended(self) -> list[str]:
        """The ids of the messages that have ended, for the next heartbeat."""
        return list(self._ended)

    def learn(self, ids: Iterable[str], confirmed: Iterable[str]) -> None:
        """End the messages `ids`; the server has heard of `confirmed` that they ended."""
        self._ended.difference_update(confirmed)
        for identity in {*ids} - self._ids - self._ended:
            self._ids.add(identity)
            in_loop(self._worker.hub, self._end, identity)

    def _end(self, identity: str) -> None:
        try:
            batch, is_item, index = identity.partition("#")
            if is_item and not end_item(batch, int(index), self._worker.pool):
                # The process is about to die. Should this look come too early, the server repeats the id.
                if self._worker.hub:
                    self._worker.hub.call_later(LOOK_SECONDS, self._look_again, identity)
                return
            for request in [each for each in taken_requests() if each.id == identity]:
                # SIGKILL ends code that ignores SIGTERM too.
                request.terminate(self._worker.pool, signal="SIGKILL")
                log.info("ended %s, which was cancelled", identity)
            self._ended.add(identity)
        except Exception as error:
            log.warning("cannot end %s, which was cancelled, trying again: %r", identity, error)
        finally:
            self._ids.discard(identity)

    def _look_again(self, identity: str) -> None:
        # At once: a call that the loop is asked for in a timer waits for the next event.
        if identity not in self._ids | self._ended:
            self._ids.add(identity)
            self._end(identity)


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
