"""The runner: runs the items of a chunk one by one, each on its own account, and records their outcomes."""

import logging
import random
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from json import dumps
from math import inf
from time import monotonic, perf_counter, sleep
from typing import TypeVar

from redis.exceptions import RedisError

from gristmill.batches.chunk import Chunk, Item, Outcome, Work
from gristmill.batches.ledger import Ledger
from gristmill.config.names import PROGRAM
from gristmill.config.settings import Settings
from gristmill.errors import GristmillError, InputError, SettingError
from gristmill.fleet.worker_id import node_name
from gristmill.server.waiting import OUTCOMES, patiently
from gristmill.tasks import catalog
from gristmill.tasks.item import leave
from gristmill.tasks.setup import SetupFailed
from gristmill.tasks.task import GristmillTask
from gristmill.worker.limits import (
    GRACE_SECONDS,
    TimeLimitExceeded,
    memory_limit,
    seconds_of,
    time_limit,
    worker_memory,
)
from gristmill.worker.logs import about
from gristmill.worker.loop.coroutines import Coroutines, run_coroutines, run_in_own_loop
from gristmill.worker.output.capture import current as current_capture
from gristmill.worker.programs.files import delete_draft, name_draft, new_draft
from gristmill.worker.programs.journal import run_journal
from gristmill.worker.rare_log import RareLog
from gristmill.worker.restoration.state import process_state
from gristmill.worker.runs.rows import run_rows
from gristmill.worker.slot.chunk_run import ChunkRun, early_recorder
from gristmill.worker.slot.chunk_stop import Stop, ends, may_stay
from gristmill.worker.slot.item_runner import ItemRunner
from gristmill.worker.slot.once_more import run_once_more
from gristmill.worker.slot.preparation import prepare_in_quarantine, prepare_task
from gristmill.worker.slot.quarantine import ProcessDied, QuarantineProcess, TimedOut, quarantined
from gristmill.worker.slot.run_outcome import OUTCOMES_BYTES, delay_ms, explain, keeps_log, outcome_of
from gristmill.worker.slot.told_values import told_values

#: A chunk that takes this many times `chunk_seconds` leaves its other items to other slots.
OVERTIME = 2
log = logging.getLogger(__name__)
rare_log = RareLog(log)
Answer = TypeVar("Answer")
#: Runs an item.
Run = Callable[[Item], Outcome]


class Runner:
    """Runs chunks in the slot that calls it; the threads of a process share one runner."""

    def __init__(self, ledger: Ledger, settings: Settings) -> None:
        self.ledger = ledger
        self.settings = settings
        self._overtime = OVERTIME * settings.chunk_seconds

    def run(self, chunk: Chunk, worker: str, suspect: bool = False) -> None:
        """Run and record the items of `chunk` that have no outcome; then, for a while, further chunks of the batch.

        `worker` is the id of this worker. Each item of a `suspect` chunk runs in a child process of its own.

        Raises:
            RedisError: the server does not answer; unrecorded items run again elsewhere.
            QuarantineUnavailable: no child process starts; unrecorded items run again elsewhere.
            SetupFailed: the setup of a suspect's task fails in a child process; the same.
        """
        # Slots that started together should not all ask for their next message together.
        until = monotonic() + self._overtime * random.uniform(0.5, 1)  # noqa: S311
        with about(chunk, node_name(worker)):
            work = _patiently(lambda: self.ledger.take(chunk, worker))
            if work is None:
                log.info("no item left to run")
        while work:
            with about(work.chunk, node_name(worker)):
                work = self._run(work, worker, suspect, until, chunk.message_id)
        process_state.leave_if_cut_off()

    def _run(self, work: Work, worker: str, suspect: bool, until: float, message: str) -> Work | None:
        chunk = work.chunk
        try:
            task = catalog.find(work.task)
        except (InputError, SettingError) as error:
            rare_log.warning(work.task, "returning chunks of batch %s to their queue: %s", chunk.batch, error)
            self._return(chunk, worker)
            return None
        node = node_name(worker)
        limit = seconds_of(work, task, self.settings)
        run_rows.own().limit = limit
        if work.limit_by:
            process_state.before_items()
            values = told_values(work, task, limit, suspect=suspect)
            process_state.after_items(self.ledger.client)
            _patiently(lambda: self.ledger.tell_values(chunk, values))
            return None
        prepare = partial(prepare_in_quarantine, task, worker, self.ledger.client) if task.setup else None
        if suspect:
            run = partial(run_in_quarantine, work, task, node, limit, prepare)
            return self._run_items(work, run, run, worker, 0)
        try:
            seconds = prepare_task(task, worker, self.ledger.client, work)
        except SetupFailed:
            self._return(chunk, worker)
            return None
        if seconds:
            # What a setup has changed and started is for all items.
            process_state.adopt()
            until += seconds
        if task.is_async:
            return run_coroutines(self, Coroutines(work, task, node, limit), worker, message, until)

        def once_more(item: Item) -> Outcome:
            most = replace(work, memory=work.memory or worker_memory(self.settings))
            return run_in_quarantine(most, task, node, limit, prepare, item)

        with time_limit.armed(limit), memory_limit(work.memory):
            try:
                return self._run_items(work, ItemRunner(work, task, node), once_more, worker, until)
            finally:
                leave()

    def _return(self, chunk: Chunk, worker: str) -> None:
        """Leave a chunk that cannot run here to other slots, after a second: perhaps there is no other one."""
        sleep(1)
        self.ledger.record(chunk, [], 0, worker, rest=chunk.count)

    def _run_items(self, work: Work, run: Run, once_more: Run, worker: str, until: float) -> Work | None:
        """Run the items by `run`, and what runs out of memory once more by `once_more`; record them as `end` does."""
        # What a suspect left to other slots would be under another message, which is no suspect.
        run_of_chunk = ChunkRun(self.ledger, work, worker, may_give=bool(until))
        with early_recorder.of(run_of_chunk):
            behind = self._run_each(run_of_chunk, work, run, once_more, worker, inf if not until else self._overtime)
        chunk, outcomes, started_at, rest = run_of_chunk.end(behind)
        if work.out_of_memory:
            run_once_more(work, outcomes, once_more)
        process_state.after_items(self.ledger.client)
        return self.end(chunk, outcomes, started_at, worker, rest, 0.0 if process_state.is_spent or ends() else until)

    def _run_each(self, of: ChunkRun, work: Work, run: Run, once_more: Run, worker: str, seconds: float) -> int | None:
        """Run items until the chunk ends; or, as when it has taken `seconds`, return the index of those left."""
        late_at = of.started_at + seconds
        outcome: Outcome | None = None
        # Looked up once: a quick item takes two microseconds.
        size, halt, next_item, add = 0, work.halt, of.waiting.popleft, of.outcomes.append
        current_capture().rest()
        should_stop = Stop(self.ledger, of.chunk, work.halt)
        process_state.before_items()
        while True:
            try:
                item = next_item()
            except IndexError:
                return None
            if size > OUTCOMES_BYTES or (halt and outcome and should_stop.halts(outcome)):
                self._record_some(of, work, once_more, worker)
                size, late_at = 0, perf_counter() + seconds
                if halt and should_stop():
                    return item.index
            outcome = run(item)
            add(outcome)
            size += len(outcome.text)
            # A call for each item would be a part of what a quick one takes.
            now = perf_counter()
            if now > late_at or (now >= should_stop.due_at and should_stop()) or process_state.is_spent:
                return item.index + 1

    def _record_some(self, of: ChunkRun, work: Work, once_more: Run, worker: str) -> None:
        """Record what there is of a chunk that goes on."""
        outcomes, started_at = of.take()
        if work.out_of_memory:
            run_once_more(work, outcomes, once_more)
        self.record(of.chunk, outcomes, started_at, worker, -1)

    def end(
        self, chunk: Chunk, outcomes: list[Outcome], started_at: float, worker: str, rest: int, until: float
    ) -> Work | None:
        """Record the last outcomes of a chunk; return the work of this slot's next chunk, or None.

        They took the time since `started_at`. The last `rest` items of the chunk go to other slots. After `until`, of
        `time.monotonic()`, the slot gives way to what else waits; with 0 it takes no next chunk.
        """
        overdue = monotonic() > until
        if rest or (overdue and not may_stay(until)):
            self.record(chunk, outcomes, started_at, worker, rest)
            return None
        seconds = perf_counter() - started_at
        current_capture().send()
        duplicates, following = _patiently(
            lambda: self.ledger.record_and_go_on(chunk, outcomes, seconds, worker, overdue=overdue)
        )
        log.info("recorded %d outcomes, %d duplicates", len(outcomes), duplicates)
        return following

    def record(self, chunk: Chunk, outcomes: list[Outcome], started_at: float, worker: str, rest: int) -> None:
        """Record outcomes of a chunk that ends with them, or, with -1 as `rest`, goes on; else as `end`."""
        seconds = perf_counter() - started_at
        current_capture().send()
        duplicates = _patiently(lambda: self.ledger.record(chunk, outcomes, seconds, worker, rest))
        log.info("recorded %d outcomes, %d duplicates; left %d items to other slots", len(outcomes), duplicates, rest)


def run_in_quarantine(
    work: Work,
    task: GristmillTask,
    worker: str,
    limit: float,
    prepare: Callable[[QuarantineProcess], None] | None,
    item: Item,
) -> Outcome:
    """Run one item as `ItemRunner` does, but in a child process, which the item may kill, or never leave.

    `limit` is the item's time limit in seconds, 0 for none. `prepare` runs the task's setup in the process before.

    Raises:
        QuarantineUnavailable: no child process starts.
        SetupFailed: the task's setup failed in the child process, or ended it.
    """
    started_at = perf_counter()
    only = replace(work, items=[])
    row = run_rows.own()
    draft = _draft_of(work, item)

    def prepare_first(process: QuarantineProcess) -> None:
        nonlocal started_at
        row.begin(work.chunk.batch, item.index, item.attempt, started_at)
        if prepare:
            prepare(process)
            started_at = perf_counter()
            row.begin(work.chunk.batch, item.index, item.attempt, started_at)
        if work.task == PROGRAM:
            delete_draft(draft)
            run_journal().begin(item.index, folder=draft)

    try:
        seconds = limit + GRACE_SECONDS if limit else None
        call = (run_named, only, worker, limit, item, row.number, draft)
        return quarantined(*call, seconds=seconds, prepare=prepare_first)
    except TimedOut as timeout:
        late = TimeLimitExceeded(limit)
        state, text, retry_ms = "failed", dumps(explain(late)), delay_ms(item, work, task, late)
        log = timeout.output
    except ProcessDied as death:
        state, text, retry_ms, log = "dead", dumps(explain(death)), None, death.output
    except (RedisError, GristmillError):
        raise
    except Exception as error:
        # What `ItemRunner` did not make an outcome of, in a process that the item has broken.
        state, text, retry_ms, log = "failed", dumps(explain(error)), delay_ms(item, work, task, error), None
    finally:
        row.rest()
        delete_draft(draft)
    return outcome_of(item, state, text, started_at, worker, retry_ms, log if keeps_log(work, state) else None)


def _draft_of(work: Work, item: Item) -> str:
    """The folder that the program of an item writes to until it has ended; empty if there is none."""
    command = work.fixed.get("command") if work.task == PROGRAM else None
    directory = command.get("output_dir") if isinstance(command, dict) else None
    return new_draft(directory, item.index) if directory else ""


def run_named(work: Work, worker: str, limit: float, item: Item, row: int = -1, draft: str = "") -> Outcome:
    """Run one item in a process that finds the task by its name, and writes the row `row` of the worker's table.

    A program writes to the folder `draft` until it has ended, if it writes to a folder.
    """
    run_rows.join(row)
    name_draft(draft)
    task = catalog.find(work.task)
    if task.is_async:
        return run_in_own_loop(work, task, worker, limit, item)
    with time_limit.armed(limit), memory_limit(work.memory):
        return ItemRunner(work, task, worker)(item)


def _patiently(call: Callable[[], Answer]) -> Answer:
    """Call the server until it answers: outcomes in memory are worth the wait."""
    time_limit.rest()
    run_rows.own().rest()
    answer = patiently(call, OUTCOMES)
    # What ran before the call is recorded.
    run_journal().clear()
    return answer
