"""The runner: runs the items of a chunk one by one, each on its own account, and records their outcomes."""

import json
import logging
import os
import random
import time
import traceback
from collections.abc import Callable
from dataclasses import replace
from functools import cache, partial
from pathlib import Path
from typing import Any, TypeVar

from gristmill.batches.chunk import Chunk, Item, Outcome, Work
from gristmill.batches.ledger import Ledger
from gristmill.config.settings import Settings
from gristmill.errors import InputError, SettingError
from gristmill.fleet.worker_id import node_name
from gristmill.server.waiting import OUTCOMES, backoff, patiently
from gristmill.tasks import catalog
from gristmill.tasks.item import enter, leave
from gristmill.tasks.kinds import GristmillTask
from gristmill.tasks.return_type import ReturnType
from gristmill.worker.capture import current as current_capture
from gristmill.worker.celery_internals import is_terminated
from gristmill.worker.chunk_stop import Stop
from gristmill.worker.limits import GRACE_SECONDS, TimeLimitExceeded, time_limit
from gristmill.worker.logs import about
from gristmill.worker.quarantine import ProcessDied, TimedOut, quarantined
from gristmill.worker.rare_log import RareLog

#: Tracebacks leave out the frames of this folder: they are not the task's.
HERE = Path(__file__).parent
#: A chunk that takes this many times `chunk_seconds` leaves its other items to other slots.
OVERTIME = 2
#: The runner records outcomes of more bytes than this before the chunk continues.
OUTCOMES_BYTES = 4 << 20
#: The longest value, as JSON in UTF-8, in bytes.
VALUE_BYTES = 1 << 20
MESSAGE_CHARACTERS, TRACEBACK_CHARACTERS = 2_000, 8_000

#: The id of this process, which is asked for with each item.
_pid = cache(os.getpid)
os.register_at_fork(after_in_child=_pid.cache_clear)

log = logging.getLogger(__name__)
rare_log = RareLog(log)
Answer = TypeVar("Answer")


class ResultTooLarge(ValueError):
    """Raised when a task returns more than 1 MiB of JSON; it should write a file and return the file's path."""


class Runner:
    """Runs chunks in the slot that calls it; the threads of a process share one runner."""

    def __init__(self, ledger: Ledger, settings: Settings) -> None:
        self.ledger = ledger
        self.settings = settings

    def run(self, chunk: Chunk, worker: str, suspect: bool = False) -> None:
        """Run and record the items of `chunk` that have no outcome; then, for a while, further chunks of the batch.

        `worker` is the id of this worker. Each item of a `suspect` chunk runs in a child process of its own.

        Raises:
            RedisError: the server does not answer; unrecorded items run again elsewhere.
            QuarantineUnavailable: no child process starts; unrecorded items run again elsewhere.
        """
        # Slots that started together should not all ask for their next message together.
        until = time.monotonic() + OVERTIME * self.settings.chunk_seconds * random.uniform(0.5, 1)  # noqa: S311
        with about(chunk, node_name(worker)):
            work = _patiently(lambda: self.ledger.take(chunk, worker))
            if work is None:
                log.info("no item left to run")
        following: Chunk | None = chunk
        while following and work:
            with about(following, node_name(worker)):
                following, work = self._run(following, work, worker, suspect, until, chunk.message_id)

    def _run(
        self, chunk: Chunk, work: Work, worker: str, suspect: bool, until: float, message: str
    ) -> tuple[Chunk | None, Work | None]:
        # That module is built upon this one.
        from gristmill.worker.coroutines import Coroutines, run_coroutines

        try:
            task = catalog.find(work.task)
        except (InputError, SettingError) as error:
            rare_log.warning(work.task, "returning chunks of batch %s to their queue: %s", chunk.batch, error)
            time.sleep(1)
            self.ledger.record(chunk, [], 0, worker, rest=chunk.count)
            return None, None
        node = node_name(worker)
        limit = self.settings.time_limit if task.time_limit is None else task.time_limit
        if suspect:
            return self._run_items(chunk, work, partial(run_in_quarantine, work, task, node, limit), worker, 0)
        if task.is_async:
            return run_coroutines(self, chunk, Coroutines(work, task, node, limit), worker, message, until)
        with time_limit.armed(limit):
            try:
                return self._run_items(chunk, work, partial(run_item, work, task, node), worker, until)
            finally:
                leave()

    def _run_items(
        self, chunk: Chunk, work: Work, run: Callable[[Item], Outcome], worker: str, until: float
    ) -> tuple[Chunk | None, Work | None]:
        started_at = time.perf_counter()
        seconds = OVERTIME * self.settings.chunk_seconds
        late_at = started_at + seconds
        outcomes: list[Outcome] = []
        rest = size = 0
        current_capture().rest()
        should_stop = Stop(self.ledger, chunk)
        for item in work.items:
            if size > OUTCOMES_BYTES:
                self.record(chunk, outcomes, started_at, worker, -1)
                outcomes, size, started_at = [], 0, time.perf_counter()
                late_at = started_at + seconds
            outcome = run(item)
            outcomes.append(outcome)
            size += len(outcome.text)
            # A call for each item would be a part of what a quick one takes.
            now = time.perf_counter()
            if now > late_at or (now >= should_stop.due_at and should_stop()):
                rest = chunk.first + chunk.count - item.index - 1
                break
        else:
            rest = work.rest
        return self.end(chunk, outcomes, started_at, worker, rest, until)

    def end(
        self, chunk: Chunk, outcomes: list[Outcome], started_at: float, worker: str, rest: int, until: float
    ) -> tuple[Chunk | None, Work | None]:
        """Record the last outcomes of a chunk; return this slot's next chunk with its work, or None.

        They took the time since `started_at`. The last `rest` items of the chunk go to other slots. After `until`, of
        `time.monotonic()`, the slot takes no next chunk.
        """
        if rest or time.monotonic() > until:
            self.record(chunk, outcomes, started_at, worker, rest)
            return None, None
        seconds = time.perf_counter() - started_at
        duplicates, following, more = _patiently(lambda: self.ledger.record_and_go_on(chunk, outcomes, seconds, worker))
        log.info("recorded %d outcomes, %d duplicates", len(outcomes), duplicates)
        return following, more

    def record(self, chunk: Chunk, outcomes: list[Outcome], started_at: float, worker: str, rest: int) -> None:
        """Record outcomes of a chunk that ends with them, or, with -1 as `rest`, goes on; else as `end`."""
        seconds = time.perf_counter() - started_at
        duplicates = _patiently(lambda: self.ledger.record(chunk, outcomes, seconds, worker, rest))
        log.info("recorded %d outcomes, %d duplicates; left %d items to other slots", len(outcomes), duplicates, rest)


def run_item(work: Work, task: GristmillTask, worker: str, item: Item) -> Outcome:
    """Run one item on `worker` (a node name); whatever it raises becomes its outcome, and does not reach the caller."""
    started_at = time.perf_counter()
    capture = current_capture()
    capture.begin(task.capture)
    try:
        arguments = task.schema.arguments(item.value, work.fixed, work.parameter)
        enter((work.batch, item.index, item.attempt))
        try:
            time_limit.begin()
            value = task.run(**arguments)
        finally:
            time_limit.end()
        state, text, retry_ms = "succeeded", value_json(task.return_type, value), None
        keeps = work.keep_logs == "all"
    except BaseException as error:
        # CancelledError and its like too: only the end of this process is no outcome of the item.
        if isinstance(error, SystemExit) and is_terminated():
            raise
        state, text, retry_ms = "failed", json.dumps(explain(error)), delay_ms(item, work, task, error)
        keeps = keeps_log(work, state)
    log = capture.end(keeps)
    return outcome_of(item, state, text, started_at, worker, retry_ms, log)


def run_in_quarantine(work: Work, task: GristmillTask, worker: str, limit: float, item: Item) -> Outcome:
    """Run one item as `run_item` does, but in a child process, which the item may kill, or never leave.

    `limit` is the item's time limit in seconds, 0 for none.

    Raises:
        QuarantineUnavailable: no child process starts.
    """
    started_at = time.perf_counter()
    only = replace(work, items=[])
    try:
        return quarantined(run_named, only, worker, limit, item, seconds=limit + GRACE_SECONDS if limit else None)
    except TimedOut as timeout:
        late = TimeLimitExceeded(limit)
        state, text, retry_ms = "failed", json.dumps(explain(late)), delay_ms(item, work, task, late)
        log = timeout.output
    except ProcessDied as death:
        state, text, retry_ms, log = "dead", json.dumps(explain(death)), None, death.output
    return outcome_of(item, state, text, started_at, worker, retry_ms, log if keeps_log(work, state) else None)


def run_named(work: Work, worker: str, limit: float, item: Item) -> Outcome:
    """Run one item in a process that finds the task by its name."""
    from gristmill.worker.coroutines import run_in_own_loop

    task = catalog.find(work.task)
    if task.is_async:
        return run_in_own_loop(work, task, worker, limit, item)
    with time_limit.armed(limit):
        return run_item(work, task, worker, item)


def delay_ms(item: Item, work: Work, task: GristmillTask, error: BaseException) -> int | None:
    """Milliseconds until the item's next attempt, None when it has no more."""
    tries = item.attempt - item.before
    if tries <= work.retries and isinstance(error, task.retry_on):
        return round(1000 * backoff(tries, work.retry_seconds))
    return None


def keeps_log(work: Work, state: str) -> bool:
    """Whether the server keeps what an item wrote that ended so."""
    return work.keep_logs == "all" or (state != "succeeded" and work.keep_logs == "failed")


def outcome_of(
    item: Item, state: str, text: str, started_at: float, worker: str, retry_ms: int | None, log: str | None = None
) -> Outcome:
    """The outcome of an attempt that began at `started_at` (of `time.perf_counter()`) and has just ended."""
    seconds = time.perf_counter() - started_at
    return Outcome(item.index, state, item.attempt, text, seconds, worker, _pid(), retry_ms, log)


def value_json(return_type: ReturnType, value: Any) -> str:
    """A task's value as JSON.

    Raises:
        ResultNotJSON: JSON cannot carry the value.
        ResultMismatch: the task's return annotation does not allow the value.
        ResultTooLarge: the value is over 1 MiB of JSON.
    """
    text = return_type.text(value)
    # No character takes more than four bytes.
    size = len(text) if len(text) * 4 <= VALUE_BYTES or text.isascii() else len(text.encode())
    if size > VALUE_BYTES:
        raise ResultTooLarge(f"the value is {size:,} bytes of JSON, over 1 MiB: write a file and return its path")
    return text


def explain(error: BaseException) -> dict[str, str]:
    """An exception as a result shows it: its type, its message, and the traceback from the task's frame on."""
    frames = traceback.extract_tb(error.__traceback__)
    theirs = [frame for frame in frames if Path(frame.filename).parent != HERE]
    text = "".join(traceback.format_list(theirs)) + "".join(traceback.format_exception_only(error))
    return {
        "type": type(error).__name__,
        "message": _clean(_text(error))[:MESSAGE_CHARACTERS],
        "traceback": _clean(text)[-TRACEBACK_CHARACTERS:],
    }


def _text(error: BaseException) -> str:
    try:
        return str(error)
    except Exception as problem:
        return f"(str() of the error raised {type(problem).__name__})"


def _clean(text: str) -> str:
    return text.encode(errors="replace").decode()


def _patiently(call: Callable[[], Answer]) -> Answer:
    """Call the server until it answers: outcomes in memory are worth the wait."""
    time_limit.rest()
    return patiently(call, OUTCOMES)
