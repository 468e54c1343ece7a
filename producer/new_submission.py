"""A submission of the kind that its options ask for."""

from typing import Any

from gristmill.producer.append import AppendSubmission
from gristmill.producer.append_options import AppendOptions
from gristmill.producer.schedule import ScheduleOptions, ScheduleSubmission
from gristmill.producer.submission import Submission


def new_submission(
    *arguments: Any, append: AppendOptions | None = None, schedule: ScheduleOptions | None = None, **keywords: Any
) -> Submission:
    """A batch, an append to an open batch, or a schedule; the other arguments are those of `Submission`."""
    if append is not None:
        return AppendSubmission(*arguments, append=append, **keywords)
    if schedule is not None:
        return ScheduleSubmission(*arguments, schedule=schedule, **keywords)
    return Submission(*arguments, **keywords)
