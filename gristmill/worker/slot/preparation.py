"""Runs the `setup` of a task where it has not run yet, and tells the log and the server, once, when it fails."""

import asyncio
import logging
import time
from collections.abc import Container
from functools import cache

from redis import Redis

from gristmill.config.settings import settings
from gristmill.fleet.registry import WorkerRegistry
from gristmill.tasks import catalog
from gristmill.tasks.item import enter, leave
from gristmill.tasks.setup import Setup, SetupFailed
from gristmill.tasks.task import GristmillTask
from gristmill.worker.celery_internals import is_terminated
from gristmill.worker.limits import share_memory
from gristmill.worker.loop.event_loop import event_loop
from gristmill.worker.runs.rows import run_rows
from gristmill.worker.slot.quarantine import ProcessDied, QuarantineProcess

log = logging.getLogger(__name__)


def prepare_task(task: GristmillTask, worker: str, client: Redis) -> float:
    """Run the setup of `task` if `worker` (its id) has to run it here; the seconds that this took, waits included.

    Raises:
        SetupFailed: it failed, now or a moment ago. It counts as failing until it succeeds.
        RedisError: the server does not answer.
    """
    if task.setup is None:
        return 0.0
    started_at = time.monotonic()
    try:
        ran = _run(task.setup)
    except SetupFailed as failure:
        if isinstance(failure.__cause__, SystemExit) and is_terminated():
            raise failure.__cause__ from None
        _tell(task, worker, client, failure)
        raise
    seconds = time.monotonic() - started_at
    if ran:
        log.info("set up task %s in %.1f s", task.name, seconds)
        _tell(task, worker, client, None)
    return seconds


def _run(setup: Setup) -> bool:
    if not setup.is_async:
        return _run_in_slot(setup)
    loop = event_loop()
    return setup.run_on(loop.loop, loop.run)


def _run_in_slot(setup: Setup) -> bool:
    """Run a setup outside of a run, but in the slot of this process: it may choose a device by `item.slot`."""
    enter(("", 0, 1, None, run_rows.own().slot, ""))
    try:
        return setup.run()
    finally:
        leave()


def _tell(task: GristmillTask, worker: str, client: Redis, failure: SetupFailed | None) -> None:
    text = str(failure).encode(errors="replace").decode() if failure else None
    began = failure.began if failure else time.time()
    if WorkerRegistry(client, settings()).note_setup(worker, task.name, text, began) and failure:
        log.error(
            "the setup of task %s fails: its items go to other workers, or wait; the setup is tried again at most a "
            "minute later",
            task.name,
            exc_info=failure.__cause__,
        )


def preload(queues: Container[str], worker: str, client: Redis) -> None:
    """Run the setups that a worker (its id) of these queues runs before it forks the processes of its pool.

    A setup that fails is told, and tried again in each process.

    Raises:
        RedisError: the server does not answer.
    """
    with share_memory():
        for task in catalog.load().values():
            if task.preload and task.queue_name in queues:
                try:
                    prepare_task(task, worker, client)
                except SetupFailed:
                    continue


def prepare_in_quarantine(task: GristmillTask, worker: str, client: Redis, process: QuarantineProcess) -> None:
    """Run the setup of `task` in a quarantine process, if it has not run there.

    Raises:
        SetupFailed, RedisError: as `prepare_task`; also when the setup ended the process.
        QuarantineUnavailable: no child process starts.
    """
    began = time.time()
    try:
        text, began = process.run(prepare_named, task.name, run_rows.own().number)
    except ProcessDied as death:
        text = f"the process died in the setup: {death}"
    if text:
        failure = SetupFailed(text, began)
        _tell(task, worker, client, failure)
        raise failure


def prepare_named(name: str, row: int = -1) -> tuple[str, float]:
    """Run the setup of the task called `name` in this quarantine process, for the slot of a row.

    Returns the error, empty without one, and when the attempt that failed began, in Unix time.
    """
    run_rows.join(row)
    setup = catalog.find(name).setup
    try:
        if setup and setup.is_async:
            setup.run_on(own_loop().get_loop(), own_loop().run)
        elif setup:
            _run_in_slot(setup)
    except SetupFailed as failure:
        return str(failure), failure.began
    return "", 0.0


@cache
def own_loop() -> asyncio.Runner:
    """The event loop of a process that runs one coroutine at a time."""
    return asyncio.Runner()
