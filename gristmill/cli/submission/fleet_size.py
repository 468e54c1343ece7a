"""The size of a fleet that `run` starts for one batch."""

from dataclasses import replace

from gristmill.config.quantities import parse_width
from gristmill.config.settings import settings, use
from gristmill.producer.submission import Submission
from gristmill.tasks.queue_worker import SLOTS_MOST, slots_of


def size_fleet(submission: Submission) -> int:
    """The slots that let as many items run at once as `max_running` of the batch says; 0: as many as the settings say.

    A share, or what is beyond the slots, is of the slots that the settings say, and the batch keeps it as a number.
    """
    limits, task = submission.options.limits, submission.task
    width = limits.max_running
    if width is None or limits.limit_by is not None:
        return 0
    each = submission.resources.slots
    # Coroutines share the worker's event loop, whatever its slots are.
    most = settings().async_slots if task.is_async else max(1, slots_of(task.kind) // each)
    items = parse_width(width, most)
    submission.options = replace(submission.options, limits=replace(limits, max_running=str(items)))
    if not task.is_async:
        return min(items * each, SLOTS_MOST[task.kind])
    if items > most:
        use({"async_slots": str(min(items, 100_000))})
    return 0
