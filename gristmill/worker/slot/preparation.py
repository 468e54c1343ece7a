"""Runs the `setup` of a task where it has not run yet, and tells the log and the server, once, when it fails."""

import asyncio
import logging
import threading
import time
from collections.abc import Container, Iterator
from contextlib import contextmanager, suppress
from functools import cache

from redis import Redis

from gristmill.batches.chunk import Work
from gristmill.config.settings import settings
from gristmill.fleet.registry import WorkerRegistry
from gristmill.tasks import catalog
from gristmill.tasks.item import enter, leave
from gristmill.tasks.setup import Setup, SetupFailed
from gristmill.tasks.task import GristmillTask
from gristmill.worker.celery_internals import is_terminated
from gristmill.worker.limits import GRACE_SECONDS, TimeLimitExceeded, setup_seconds, share_memory, time_limit
from gristmill.worker.loop.event_loop import event_loop
from gristmill.worker.restoration.state import process_state
from gristmill.worker.runs.rows import run_rows
from gristmill.worker.slot.quarantine import ProcessDied, QuarantineProcess, TimedOut

#: Seconds of a preload after which a worker says what it waits for.
SLOW_SECONDS = 10.0

log = logging.getLogger(__name__)


def prepare_task(task: GristmillTask, worker: str, client: Redis, work: Work | None = None) -> float:
    """Run the setup of `task` if `worker` (its id) has to run it here; the seconds that this took, waits included.

    It has a time limit of its own where it runs for a slot that has `work`: others see it as a run of the first item.

    Raises:
        SetupFailed: it failed, now or a moment ago, or took too long. It counts as failing until it succeeds.
        RedisError: the server does not answer.
    """
    if task.setup is None or task.setup.has_run(event_loop().loop if task.setup.is_async else None):
        return 0.0
    started_at = time.monotonic()
    seconds = setup_seconds(task, settings()) if work else 0.0
    try:
        with _in_row(work, task.setup, seconds), time_limit.armed(seconds, "setup"):
            time_limit.begin(time.perf_counter())
            ran = _run(task.setup, seconds)
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


@contextmanager
def _in_row(work: Work | None, setup: Setup, seconds: float) -> Iterator[None]:
    """Have the row of this slot say meanwhile that the first item of `work` waits for the setup, `seconds` at most."""
    if not work or not work.items:
        yield
        return
    row, batch, first = run_rows.own(), work.chunk.batch, work.items[0]
    limit, row.limit = row.limit, seconds
    row.begin(batch, first.index, first.attempt, time.perf_counter())
    row.report(batch, first.index, 0, None, f"setup: {setup.name}")
    try:
        yield
    finally:
        row.rest()
        row.limit = limit


def _run(setup: Setup, seconds: float) -> bool:
    if not setup.is_async:
        return _run_in_slot(setup, seconds)
    loop = event_loop()
    return setup.run_on(loop.loop, lambda coroutine: loop.run(coroutine, seconds))


def _run_in_slot(setup: Setup, seconds: float) -> bool:
    """Run a setup outside of a run, but in the slot of this process: it may choose a device by `item.slot`."""
    enter(("", 0, 1, None, run_rows.own().slot, ""))
    try:
        return setup.run(seconds)
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
                with suppress(SetupFailed), _told_if_slow(task):
                    prepare_task(task, worker, client)


@contextmanager
def _told_if_slow(task: GristmillTask) -> Iterator[None]:
    """Say what the start of this worker waits for, if that takes long."""
    text = "this worker takes no messages yet: the setup of task %s, which it preloads, has run for %g s"
    timer = threading.Timer(SLOW_SECONDS, log.warning, (text, task.name, SLOW_SECONDS))
    timer.start()
    try:
        yield
    finally:
        timer.cancel()
        # Processes are forked after this.
        timer.join()


def prepare_in_quarantine(task: GristmillTask, worker: str, client: Redis, process: QuarantineProcess) -> None:
    """Run the setup of `task` in a quarantine process, if it has not run there.

    Raises:
        SetupFailed, RedisError: as `prepare_task`; also when the setup ended the process, or stopped it.
        QuarantineUnavailable: no child process starts.
    """
    began, seconds = time.time(), setup_seconds(task, settings())
    try:
        most = seconds + GRACE_SECONDS if seconds else None
        text, began = process.run(prepare_named, task.name, seconds, run_rows.own().number, seconds=most)
    except ProcessDied as death:
        text = f"the process died in the setup: {death}"
    except TimedOut:
        text = f"the process was killed: {TimeLimitExceeded(seconds, 'setup')}"
    if text:
        failure = SetupFailed(text, began)
        _tell(task, worker, client, failure)
        raise failure


def prepare_named(name: str, seconds: float = 0.0, row: int = -1) -> tuple[str, float]:
    """Run the setup of the task called `name` in this quarantine process, for the slot of a row, in `seconds` at most.

    Returns the error, empty without one, and when the attempt that failed began, in Unix time.
    """
    run_rows.join(row)
    setup = catalog.find(name).setup
    try:
        with time_limit.armed(seconds, "setup"):
            time_limit.begin(time.perf_counter())
            if setup and setup.is_async:
                setup.run_on(own_loop().get_loop(), own_loop().run)
            elif setup:
                _run_in_slot(setup, seconds)
    except SetupFailed as failure:
        if isinstance(failure.__cause__, TimeLimitExceeded):
            # A coroutine would go on beside the next attempt.
            process_state.is_spent = True
        return str(failure), failure.began
    return "", 0.0


@cache
def own_loop() -> asyncio.Runner:
    """The event loop of a process that runs one coroutine at a time."""
    return asyncio.Runner()
