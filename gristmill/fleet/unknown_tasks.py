"""Batches whose task no live worker on their queue knows: their items wait, and nothing says so by itself."""

from collections.abc import Sequence

from gristmill.batches.info import BatchInfo
from gristmill.broker.unknown_tasks import UnknownTask
from gristmill.fleet.registry import LiveWorker


def tasks_without_worker(batches: Sequence[BatchInfo], workers: Sequence[LiveWorker], now: float) -> list[UnknownTask]:
    """The tasks of batches that workers listen for and none of these knows, by queue and name; `now` is a Unix time.

    Where no worker listens to the queue, that is said elsewhere.
    """
    tasks: dict[str, set[str]] = {}
    for worker in workers:
        tasks.setdefault(worker.queue, set()).update(worker.tasks)
    waits: dict[tuple[str, str], list[BatchInfo]] = {}
    for info in batches:
        if info.left and info.queue in tasks and info.task not in tasks[info.queue]:
            waits.setdefault((info.queue, info.task), []).append(info)
    return [
        UnknownTask(queue, task, "items", sum(info.left for info in infos), now - min(info.created for info in infos))
        for (queue, task), infos in sorted(waits.items())
    ]
