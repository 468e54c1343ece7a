"""Tasks whose setup fails on live workers: these workers run none of their items, and nothing fails by it."""

from collections.abc import Iterable
from dataclasses import dataclass

from gristmill.fleet.registry import LiveWorker


@dataclass(frozen=True, slots=True)
class SetupFailure:
    """The setup of `task` fails with `error` on `workers` (node names), which listen to `queue`.

    `others` is the number of the queue's other live workers that know the task.
    """

    queue: str
    task: str
    error: str
    workers: tuple[str, ...]
    others: int

    def __str__(self) -> str:
        wait = "its items go to other workers" if self.others else "its items wait"
        return f"the setup of task {self.task!r} fails on {', '.join(self.workers)} ({self.error}): {wait}"


def setup_failures(workers: Iterable[LiveWorker]) -> list[SetupFailure]:
    """The tasks whose setup fails, by queue and name, with the error of the first worker."""
    by_task: dict[tuple[str, str], list[LiveWorker]] = {}
    workers = list(workers)
    for worker in workers:
        for task in worker.setup_failures:
            by_task.setdefault((worker.queue, task), []).append(worker)
    failures = []
    for (queue, task), failing in sorted(by_task.items()):
        able = [worker for worker in workers if worker.queue == queue and task in worker.tasks]
        names = tuple(worker.name for worker in failing)
        error = failing[0].setup_failures[task]
        failures.append(SetupFailure(queue, task, error, names, len([one for one in able if one not in failing])))
    return failures
