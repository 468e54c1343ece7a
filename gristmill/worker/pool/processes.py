"""The pool of a cpu worker: sees the death of a process at once, and ends what the process leaves."""

import logging
import os
import sys
from collections.abc import Callable
from typing import Any

from billiard.pool import EX_RECYCLE
from billiard.process import current_process

from gristmill.config.start_methods import FORK, SPAWN
from gristmill.fleet.worker_id import worker_id
from gristmill.local.descendants import children, end_descendants
from gristmill.tasks import catalog
from gristmill.tasks.application import app
from gristmill.worker.celery_internals import (
    end_idle_pool,
    pool_of,
    release_multiprocessing,
)
from gristmill.worker.pool.billiard_internals import (
    PromptEnd,
    Starter,
    fork_context,
    fresh_context,
    start_together,
)
from gristmill.worker.pool.celery_internals import LotProcess, begin_copy, begin_process
from gristmill.worker.pool.equipment import SlotEquipment, pool_equipment
from gristmill.worker.pool.fork_server import ForkServer
from gristmill.worker.pool.fresh_process import Spawn
from gristmill.worker.pool.lot_pool import LotPool, LotTaskPool
from gristmill.worker.pool.shared_memory import freeze
from gristmill.worker.pool.start_method import start_method
from gristmill.worker.restoration.state import process_state
from gristmill.worker.restoration.whole_process import note_loggers

log = logging.getLogger(__name__)

#: Seconds that a process may take to import the user's tasks before it is killed and replaced.
START_SECONDS = 300.0


class ItemProcess(PromptEnd, LotProcess):
    """A process of the pool, which is replaced when its items have left what it cannot undo."""

    wait_for_job: Callable[[], Any]
    equipment: SlotEquipment

    def __reduce__(self) -> tuple[Any, ...]:
        _, arguments, state = super().__reduce__()
        return _received, (arguments, self.equipment, self.inqW_fd, self.synqW_fd), state

    def after_fork(self) -> None:
        """Make this process ready for items; called in it, however it has started."""
        super().after_fork()
        current_process().daemon = False
        release_multiprocessing()
        self.equipment.take()
        wait, parent = self.wait_for_job, os.getppid()

        def wait_for_job() -> Any:
            if process_state.is_spent or os.getppid() != parent:
                sys.exit(EX_RECYCLE)
            try:
                return wait()
            except SystemExit:
                self.is_pool_closed = True
                raise

        self.wait_for_job = wait_for_job


def _received(arguments: tuple[Any, ...], equipment: SlotEquipment, *numbers: int | None) -> ItemProcess:
    process = ItemProcess(*arguments)
    process.equipment = equipment
    # The pool knows the process by the numbers that its descriptors have in the worker.
    process.inqW_fd, process.synqW_fd = numbers
    return process


class ItemPool(LotPool):
    """Billiard's pool, with children of this process that are neither pool processes nor its own ended as orphans.

    `starter` starts processes that are no copies of this one; without it, processes are forked.
    """

    Worker = ItemProcess
    #: Children that this process has beside its pool; None until the pool is complete.
    own: frozenset[int] | None = None

    def __init__(self, *args: Any, node_name: str, starter: Starter | None, **kwargs: Any) -> None:
        self._worker_id, self._starter = worker_id(node_name), starter
        kwargs |= {"initializer": _begin, "initargs": (node_name,)}
        if starter is None:
            kwargs |= {"context": fork_context(), "initializer": _begin_copy}
        else:
            kwargs |= {"context": fresh_context(starter), "proc_alive_timeout": START_SECONDS}
        self._is_new = starter is None
        super().__init__(*args, **kwargs)
        if self._is_new:
            self._is_new = False
            # Now: all that processes share is loaded.
            note_loggers()
            freeze()
            start_together(self)

    def WorkerProcess(self, worker: ItemProcess) -> Any:  # noqa: N802
        """The process object of billiard's that runs `worker`, which gets its equipment here."""
        worker.equipment = pool_equipment.of_slot(self.place, self._worker_id)
        process = super().WorkerProcess(worker)
        if self._is_new:
            process.waiting = worker
        return process

    def pool_has_died(self) -> None:
        """End what dead pool processes have left: this process has adopted it. Their messages go back after that."""
        if self.own is not None:
            helper = self._starter.pid if self._starter else 0
            ended = end_descendants(os.getpid(), {*self.own, *self.live_pids(), helper})
            if ended:
                log.warning("ended %d processes that a dead pool process had left", ended)

    def complete(self) -> None:
        """Note which children are this process's own."""
        self.own = frozenset(children(os.getpid()) - set(self.live_pids()))


def _begin(node_name: str) -> None:
    begin_process(app, node_name)


def _begin_copy(node_name: str) -> None:
    begin_copy(app, node_name)


class ItemTaskPool(LotTaskPool):
    """Celery's prefork pool, made of ItemPool."""

    Pool = ItemPool

    def on_start(self) -> None:
        """Start the processes."""
        _, node_name = self.options.pop("initargs")
        self.options |= {"node_name": node_name, "starter": self._starter(node_name)}
        super().on_start()
        pool_of(self).complete()

    def on_stop(self) -> None:
        """End the processes: those that are idle at once, where Celery's timers look each half second."""
        if not end_idle_pool(self):
            super().on_stop()

    def _starter(self, node_name: str) -> Starter | None:
        queues = self.app.amqp.queues.consume_from
        method = start_method(queues)
        if method == FORK:
            return None
        if method == SPAWN:
            return Spawn()
        tasks = [task for task in catalog.load().values() if task.preload and task.queue_name in queues]
        return ForkServer(worker_id(node_name), sorted({task.queue_name for task in tasks}))
