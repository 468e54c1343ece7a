"""What a producer should know about the workers before it waits for them."""

from typing import TYPE_CHECKING

from gristmill.config.settings import settings
from gristmill.errors import InputError
from gristmill.fleet.registry import LiveWorker, WorkerRegistry
from gristmill.server.connection import client

if TYPE_CHECKING:
    # Only for types: loading Celery takes longer than most commands run.
    from gristmill.tasks.kinds import GristmillTask


def live_workers() -> list[LiveWorker]:
    """The workers that live, by name."""
    return WorkerRegistry(client(), settings()).workers()


def check_workers(task: "GristmillTask") -> list[str]:
    """Warnings about the workers that live, for a batch of `task`; none when all is well, or when none lives.

    Raises:
        InputError: workers live, and none of those on the task's queue knows the task.
    """
    on_queue = [worker for worker in live_workers() if worker.queue == task.kind]
    if not on_queue:
        return []
    knowing = [worker for worker in on_queue if task.name in worker.tasks]
    if not knowing:
        raise InputError(
            f"no worker on queue {task.kind} knows task {task.name!r}: start {_names(on_queue)} with "
            "GRISTMILL_TASK_MODULES naming its module"
        )
    warnings = []
    lacking = [worker for worker in on_queue if worker not in knowing]
    if lacking:
        warnings.append(f"{_names(lacking)} do not know task {task.name!r}: GRISTMILL_TASK_MODULES differs there")
    other = [worker for worker in knowing if worker.tasks[task.name] != task.fingerprint]
    if other:
        warnings.append(f"{_names(other)} have another version of task {task.name!r} than this host")
    return warnings


def no_worker(queue: str) -> str:
    """The warning that nobody listens to a queue."""
    return f"no worker listens to queue {queue}: the items wait. Start one with `gristmill up {queue}`"


def _names(workers: list[LiveWorker]) -> str:
    return ", ".join(worker.name for worker in workers)
