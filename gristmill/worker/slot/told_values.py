"""By which values the items of a chunk are limited, where their producer did not say, as of the values of a batch."""

from time import perf_counter

from gristmill.batches.chunk import Item, Work
from gristmill.tasks.limit_values import NO_VALUE, LimitValues
from gristmill.tasks.other_values import value_of
from gristmill.tasks.task import GristmillTask
from gristmill.worker.limits import time_limit
from gristmill.worker.restoration.state import process_state
from gristmill.worker.runs.rows import run_rows


def told_values(work: Work, task: GristmillTask, seconds: float, *, suspect: bool) -> str:
    """The texts of `LimitValues` of the items, one after the other.

    An item of which the task's function tells no value in `seconds` (0: no limit) has NO_VALUE: it runs, and fails with
    an error of its own, if it does. So have the items of a `suspect`: the function may have ended its process.
    """
    texts = [NO_VALUE] * (work.chunk.count - work.rest)
    try:
        values = LimitValues(task, work.limit_by, work.fixed, work.parameter)
    except Exception:
        return "".join(texts)
    row = run_rows.own()
    with time_limit.armed(seconds):
        for item in [] if suspect else work.items:
            # The worker ends a process that stands still for longer.
            row.begin(work.chunk.batch, item.index, item.attempt, perf_counter())
            texts[item.index - work.chunk.first] = _text_of(values, item, work, task)
    row.rest()
    return "".join(texts)


def _text_of(values: LimitValues, item: Item, work: Work, task: GristmillTask) -> str:
    time_limit.begin(perf_counter())
    try:
        return values.of(value_of(item.value, work, task.schema) if work.from_batch else item.value)
    except Exception:
        return NO_VALUE
    finally:
        time_limit.end()
        process_state.leave_if_forked()
