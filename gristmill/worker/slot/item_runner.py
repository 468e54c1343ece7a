"""Runs one item in the thread of its slot: what surrounds the call of the task's function, and the outcome after it."""

from contextvars import copy_context
from json import dumps
from time import perf_counter
from typing import Any

from gristmill.batches.chunk import Item, Outcome, Work
from gristmill.config.names import PROGRAM
from gristmill.tasks.item import enter
from gristmill.tasks.other_values import arguments_of
from gristmill.tasks.task import GristmillTask
from gristmill.worker.celery_internals import is_terminated
from gristmill.worker.limits import time_limit
from gristmill.worker.output.capture import current as current_capture
from gristmill.worker.output.whole_output import WholeOutput
from gristmill.worker.restoration.state import process_state
from gristmill.worker.runs.rows import run_rows
from gristmill.worker.slot.large_value import SHORT, ValueNotPlaced, value_text
from gristmill.worker.slot.run_outcome import delay_ms, explain, keeps_log, outcome_of


class ItemRunner:
    """Runs items of one `work` in the thread that makes it, on `worker` (a node name)."""

    __slots__ = (
        "_arguments",
        "_batch",
        "_begin",
        "_capture",
        "_captures",
        "_function",
        "_has_output_file",
        "_is_program",
        "_keeps_all",
        "_report",
        "_slot",
        "_task",
        "_text",
        "_work",
        "_worker",
    )

    def __init__(self, work: Work, task: GristmillTask, worker: str) -> None:
        # All that an item need not look up again: quick items are many.
        self._work, self._batch, self._task, self._worker = work, work.chunk.batch, task, worker
        self._arguments = arguments_of(work, task.schema)
        row = run_rows.own()
        self._begin, self._report, self._slot = row.begin, row.report, row.slot
        self._capture, self._captures = current_capture(), task.capture
        self._function, self._text, self._is_program = task.run, task.return_type.text, work.task == PROGRAM
        self._has_output_file = bool(work.output_dir and task.capture)
        self._keeps_all = work.keep_logs == "all"

    def __call__(self, item: Item) -> Outcome:
        """Run one item; whatever it raises becomes its outcome, and does not reach the caller.

        Raises:
            ValueNotPlaced: the server does not say where the value goes.
        """
        started_at = perf_counter()
        work, batch, capture = self._work, self._batch, self._capture
        index, attempt = item.index, item.attempt
        self._begin(batch, index, attempt, started_at)
        capture.begin(batch, index, self._captures)
        try:
            if self._has_output_file:
                capture.keep_whole(WholeOutput(work.output_dir, index))
            arguments = self._arguments(item.value)
            enter((batch, index, attempt, self._report, self._slot, work.task))
            try:
                time_limit.begin(started_at)
                # The item has a context of its own. To write its value runs code of the task's, too.
                text = self._text(copy_context().run(self._function, **arguments))
            finally:
                time_limit.end()
                process_state.leave_if_forked()
            if len(text) > SHORT:
                text = value_text(text, work, item)
            state, retry_ms, keeps = "succeeded", None, self._keeps_all
        except ValueNotPlaced:
            capture.end(False)
            process_state.after_item(0.0, failed=True)
            raise
        except BaseException as error:
            # CancelledError and its like too: only the end of this process is no outcome of the item.
            kind = type(error)
            if issubclass(kind, SystemExit) and is_terminated():
                raise
            state, text, retry_ms = "failed", dumps(_explain(error)), delay_ms(item, work, self._task, error)
            keeps = keeps_log(work, state)
            if issubclass(kind, MemoryError):
                work.out_of_memory.append(item)
        log = capture.end(keeps)
        outcome = outcome_of(item, state, text, started_at, self._worker, retry_ms, log)
        # A program changes nothing in this process, and has ended with all below it.
        process_state.after_item(outcome.seconds, state == "failed", self._is_program)
        return outcome


def _explain(error: BaseException) -> dict[str, Any]:
    """What `explain` answers, which may run code of the task's: within the time limit of an item."""
    time_limit.begin(perf_counter())
    try:
        return explain(error)
    finally:
        time_limit.end()
