"""Runs a chunk of an `async def` task: its items are coroutines on the event loop of the process."""

import asyncio
import json
from time import perf_counter
from typing import TYPE_CHECKING

from gristmill.batches.chunk import Item, Outcome, Work
from gristmill.errors import GristmillError
from gristmill.tasks.item import enter
from gristmill.tasks.other_values import arguments_of
from gristmill.tasks.task import GristmillTask
from gristmill.worker.limits import GRACE_SECONDS, TimeLimitExceeded
from gristmill.worker.loop.coroutine_run import CoroutineRun, cancel_late, is_late
from gristmill.worker.loop.event_loop import event_loop
from gristmill.worker.output.capture import current as current_capture
from gristmill.worker.output.whole_output import WholeOutput
from gristmill.worker.runs.rows import run_rows
from gristmill.worker.slot.chunk_stop import ASK_SECONDS, Stop, ends
from gristmill.worker.slot.large_value import VALUE_BYTES, ValueNotPlaced, size_of, value_text
from gristmill.worker.slot.preparation import own_loop
from gristmill.worker.slot.run_outcome import delay_ms, explain, keeps_log, outcome_of

if TYPE_CHECKING:
    from gristmill.worker.slot.runner import Runner

#: Seconds between two records of a chunk that goes on, at least.
RECORD_SECONDS = 1.5
#: The alarm of an item without a time limit, in seconds: the process has ended before.
NEVER = 1e9


class RunInterrupted(GristmillError):
    """Raised when the worker ends before the items of a chunk have ended; they run again elsewhere."""


class Coroutines:
    """The items of one chunk as coroutines of `task`, on `worker` (a node name).

    Each may run for `limit` seconds; 0: no limit.
    """

    def __init__(self, work: Work, task: GristmillTask, worker: str, limit: float) -> None:
        self.work, self.task, self.worker, self.limit = work, task, worker, limit
        # All that an item need not look up again.
        self._arguments, self._capture = arguments_of(work, task.schema), current_capture()
        self._has_output_file = bool(work.output_dir and task.capture)

    async def run_item(self, item: Item) -> Outcome:
        """Run one item; whatever it raises becomes its outcome."""
        started_at = perf_counter()
        work, task, capture, row = self.work, self.task, self._capture, run_rows.take()
        batch = work.chunk.batch
        capture.begin(batch, item.index, task.capture)
        row.begin(batch, item.index, item.attempt, started_at)
        try:
            if self._has_output_file:
                capture.keep_whole(WholeOutput(work.output_dir, item.index))
            arguments = self._arguments(item.value)
            # Each item has a context of its own, which ends with its coroutine.
            enter((batch, item.index, item.attempt, row.report, row.slot, work.task))
            text = task.return_type.text(await task.run(**arguments))
            if size_of(text) > VALUE_BYTES:
                # The loop goes on while a thread writes the file.
                text = await asyncio.to_thread(value_text, text, work, item)
            state, retry_ms = "succeeded", None
        except ValueNotPlaced:
            raise
        except BaseException as exception:
            error = self._cause(exception)
            state, text = "failed", json.dumps(explain(error))
            retry_ms = delay_ms(item, work, task, error)
        finally:
            run_rows.give_back(row)
        log = capture.end(keeps_log(work, state))
        return outcome_of(item, state, text, started_at, self.worker, retry_ms, log)

    def _cause(self, error: BaseException) -> BaseException:
        """What an item failed by: its time limit, where that has cancelled it."""
        # Not `isinstance`: that may run code of the error's.
        if issubclass(type(error), asyncio.CancelledError) and is_late():
            return TimeLimitExceeded(self.limit).with_traceback(error.__traceback__)
        return error

    async def run_with_limit(self, item: Item) -> Outcome:
        """Run one item, with its time limit, on a loop that has no other."""
        alarm = asyncio.get_running_loop().call_later(self.limit or NEVER, cancel_late, asyncio.current_task())
        try:
            return await self.run_item(item)
        finally:
            alarm.cancel()

    def overdue(self, item: Item, seconds: float) -> Outcome:
        """The outcome of an item that has run for `seconds` and did not heed its cancellation."""
        late = TimeLimitExceeded(self.limit)
        retry_ms = delay_ms(item, self.work, self.task, late)
        started_at = perf_counter() - seconds
        return outcome_of(item, "failed", json.dumps(explain(late)), started_at, self.worker, retry_ms)


def run_in_own_loop(work: Work, task: GristmillTask, worker: str, limit: float, item: Item) -> Outcome:
    """Run one item in the loop of a process that runs one item at a time."""
    return own_loop().run(Coroutines(work, task, worker, limit).run_with_limit(item))


def run_coroutines(of: "Runner", coroutines: Coroutines, worker: str, message: str, until: float) -> Work | None:
    """Run the items of a chunk side by side and record them, now and then and at the end; then as `Runner.run`.

    The chunk runs on `worker` (its id) under the message with the id `message`.

    Raises:
        RedisError: the server does not answer; unrecorded items run again elsewhere.
        RunInterrupted: the worker ends; so do unrecorded items.
    """
    chunk, items = coroutines.work.chunk, coroutines.work.items
    run = CoroutineRun(chunk.batch, items, coroutines.run_item, coroutines.overdue, coroutines.limit, GRACE_SECONDS)
    loop, should_stop = event_loop(), Stop(of.ledger, chunk)
    loop.begin(message, run)
    recorded_at = perf_counter()
    try:
        while not run.wait(ASK_SECONDS):
            if ends() or should_stop():
                run.stop()
            # A chunk that ends in a moment is recorded once.
            outcomes = run.take() if run.is_full or perf_counter() - recorded_at > RECORD_SECONDS else []
            if outcomes:
                of.record(chunk, outcomes, recorded_at, worker, -1)
                recorded_at = perf_counter()
    finally:
        loop.end(run)
    if run.discarded:
        return None
    outcomes = run.take()
    if run.interrupted:
        of.record(chunk, outcomes, recorded_at, worker, -1)
        raise RunInterrupted("this worker ends")
    rest = coroutines.work.rest
    if run.started < len(items):
        # Those that have not started are the last ones.
        rest = chunk.first + chunk.count - items[run.started].index
    # For half of its time, a chunk waits for places.
    return of.end(chunk, outcomes, recorded_at, worker, rest, 0.0 if ends() else until + of.settings.chunk_seconds)
