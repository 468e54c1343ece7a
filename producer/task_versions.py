"""The tasks of which live workers have different versions, and how they differ."""

from collections.abc import Iterator
from typing import NamedTuple

from redis import Redis

from gristmill.config.settings import settings
from gristmill.fleet.announcement import Announcement
from gristmill.fleet.registry import LiveWorker, WorkerRegistry
from gristmill.producer.worker_checks import differing_modules, modules_differ


class TaskVersions(NamedTuple):
    """A task, the number of its versions, and which workers have to be updated, and for what."""

    task: str
    versions: int
    advice: str


def task_versions(server: Redis, workers: list[LiveWorker]) -> Iterator[TaskVersions]:
    """The tasks that live workers have in several versions, by name.

    The version that most workers have counts as the right one.
    """
    registry = WorkerRegistry(server, settings())
    announcements = {worker.id: registry.announcements(worker.id) for worker in workers}
    for task in sorted({task for worker in workers for task in worker.tasks}):
        able = [worker for worker in workers if task in worker.tasks]
        versions: dict[str, list[LiveWorker]] = {}
        for worker in able:
            versions.setdefault(worker.tasks[task], []).append(worker)
        if len(versions) > 1:
            right, *others = sorted(versions.values(), key=len, reverse=True)
            yield TaskVersions(task, len(versions), _advice(task, right[0], others, announcements))


def _advice(
    task: str,
    right: LiveWorker,
    others: list[list[LiveWorker]],
    announcements: dict[str, dict[str, Announcement]],
) -> str:
    parts = []
    for group in others:
        modules = announcements[group[0].id][task].modules
        names = differing_modules(announcements[right.id][task].modules, modules)
        difference = f" ({modules_differ(names)})" if names else ""
        parts.append(f"{', '.join(worker.name for worker in group)} differ from {right.name}{difference}")
    return f"{'; '.join(parts)}: update their code, and restart the workers that lag behind"
