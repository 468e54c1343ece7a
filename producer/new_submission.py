"""A submission of the kind that its options ask for."""

from typing import Any

from gristmill.errors import InputError
from gristmill.producer.append import AppendSubmission
from gristmill.producer.append_options import AppendOptions
from gristmill.producer.schedule import ScheduleOptions, ScheduleSubmission
from gristmill.producer.submission import Submission


def new_submission(
    *arguments: Any, append: AppendOptions | None = None, schedule: ScheduleOptions | None = None, **keywords: Any
) -> Submission:
    """A batch, an append to an open batch, or a schedule; the other arguments are those of `Submission`."""
    options = keywords.get("options")
    if (append or schedule) and options and (options.after or options.source):
        raise InputError("an append and a schedule follow no batch: after and from_batch go with one batch")
    if append is not None:
        return AppendSubmission(*arguments, append=append, **keywords)
    if schedule is not None:
        return ScheduleSubmission(*arguments, schedule=schedule, **keywords)
    return Submission(*arguments, **keywords)
