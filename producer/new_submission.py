"""A submission of the kind that its options ask for."""

from typing import TYPE_CHECKING, Any

from gristmill.errors import InputError, invalid_value
from gristmill.producer.append_options import AppendOptions
from gristmill.producer.batch_options import BatchOptions
from gristmill.producer.submission import Submission

if TYPE_CHECKING:
    from gristmill.producer.schedule import ScheduleOptions

#: Why an append and a schedule follow no batch: whoever repeats an append goes on at a place of its own input, and the
#: items of a schedule are stored once, before there is a batch of it to follow another.
_APPENDS = "no value with append: producers supply the items"
_SCHEDULES = (
    "no value with a schedule, which stores its items when it is made: schedule a task that submits the workflow"
)


def new_submission(
    *arguments: Any, append: AppendOptions | None = None, schedule: "ScheduleOptions | None" = None, **keywords: Any
) -> Submission:
    """A batch, an append to an open batch, or a schedule; the other arguments are those of `Submission`."""
    options = keywords.get("options")
    if append and options:
        _refuse_follow_ups(options, _APPENDS)
    if schedule and options:
        _refuse_follow_ups(options, _SCHEDULES)
    # Most submissions are of neither kind.
    if append is not None:
        from gristmill.producer.append import AppendSubmission

        return AppendSubmission(*arguments, append=append, **keywords)
    if schedule is not None:
        from gristmill.producer.schedule import ScheduleSubmission

        return ScheduleSubmission(*arguments, schedule=schedule, **keywords)
    return Submission(*arguments, **keywords)


def _refuse_follow_ups(options: BatchOptions, expected: str) -> None:
    batches = {"after": ", ".join(options.after), "from_batch": options.source and options.source.batch}
    for name, value in batches.items():
        if value:
            raise InputError(invalid_value(name, value, expected))
