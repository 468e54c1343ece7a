"""Finds a task by its name: among those of this process, else among those that live workers announce."""

from collections import Counter
from contextlib import suppress
from typing import Any

from gristmill.config.names import KINDS
from gristmill.config.settings import settings
from gristmill.errors import InputError, ServerError, invalid_value
from gristmill.fleet.registry import WorkerRegistry
from gristmill.producer.worker_checks import live_workers
from gristmill.server.connection import client, reaching
from gristmill.tasks import catalog
from gristmill.tasks.remote import RemoteTask, SubmittableTask
from gristmill.tasks.task import GristmillTask


def find_task(name: str) -> SubmittableTask:
    """The task called `name`, of this process or of the workers.

    Raises:
        InputError: neither this process nor a live worker knows such a task.
        ServerError: this process does not know it, and the server or a worker that might know it is away.
        SettingError: a module with tasks cannot be imported.
    """
    task = catalog.load().get(name)
    return task or _announced(name) or catalog.find(name, names_on_workers())


def checked_task(task: Any) -> SubmittableTask:
    """The task that a program gives: a decorated function, or a name.

    Raises:
        InputError: it is neither; or as `find_task`.
    """
    if isinstance(task, str):
        return find_task(task)
    if isinstance(task, GristmillTask):
        return task
    raise InputError(invalid_value("task", task, "a function decorated with @cpu or @io, or a task's name"))


def names_on_workers() -> set[str]:
    """The names of the tasks that live workers know; empty when the server cannot be reached."""
    with suppress(ServerError), reaching():
        return {task for worker in live_workers() for task in worker.tasks}
    return set()


def _announced(name: str) -> RemoteTask | None:
    """The task as most of the live workers that know it announce it; None if none of them knows it."""
    with reaching():
        registry = WorkerRegistry(client(), settings())
        workers = registry.workers()
        announcements = [registry.announcements(worker.id).get(name) for worker in workers if name in worker.tasks]
    if not workers:
        raise ServerError(f"this process does not know the task {name!r}, and no worker is up that might know it")
    usable = {one.fingerprint: one for one in announcements if one and one.kind in KINDS}
    if not usable:
        return None
    counts = Counter(one.fingerprint for one in announcements if one and one.fingerprint in usable)
    return RemoteTask.of(name, usable[counts.most_common(1)[0][0]])
