"""The pool of a cpu worker: sees the death of a process at once, and ends what the process leaves."""

import logging
import os
import sys
from collections.abc import Callable
from typing import Any

from billiard.pool import EX_RECYCLE
from billiard.process import current_process

from gristmill.config.settings import settings
from gristmill.local.descendants import children, end_descendants
from gristmill.worker import quarantine
from gristmill.worker.celery_internals import (
    HookedPool,
    PoolProcess,
    ProcessPool,
    pool_of,
    release_multiprocessing,
)
from gristmill.worker.process_state import process_state

log = logging.getLogger(__name__)


class ItemProcess(PoolProcess):
    """A process of the pool, which is replaced when its items have left what it cannot undo."""

    wait_for_job: Callable[[], Any]

    def after_fork(self) -> None:
        """Make this process ready for items; called in it."""
        super().after_fork()
        current_process().daemon = False
        release_multiprocessing()
        process_state.begin(settings().max_items_per_process, quarantine.pids)
        wait, parent = self.wait_for_job, os.getppid()

        def wait_for_job() -> Any:
            if process_state.is_spent or os.getppid() != parent:
                sys.exit(EX_RECYCLE)
            return wait()

        self.wait_for_job = wait_for_job


class ItemPool(HookedPool):
    """Billiard's pool, with children of this process that are neither pool processes nor its own ended as orphans."""

    Worker = ItemProcess
    #: Children that this process has beside its pool; None until the pool is complete.
    own: frozenset[int] | None = None

    def pool_has_died(self) -> None:
        """End what dead pool processes have left: this process has adopted it. Their messages go back after that."""
        if self.own is not None:
            ended = end_descendants(os.getpid(), {*self.own, *self.live_pids()})
            if ended:
                log.warning("ended %d processes that a dead pool process had left", ended)

    def complete(self) -> None:
        """Note which children are this process's own."""
        self.own = frozenset(children(os.getpid()) - set(self.live_pids()))


class ItemTaskPool(ProcessPool):
    """Celery's prefork pool, made of ItemPool."""

    Pool = ItemPool

    def on_start(self) -> None:
        """Start the processes."""
        super().on_start()
        pool_of(self).complete()
