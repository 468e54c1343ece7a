"""The outcome of a run of an item: the task's value as JSON, or its error, and when the item is tried again."""

import os
import traceback
from pathlib import Path
from time import perf_counter
from typing import Any

from gristmill.batches.chunk import Item, Outcome, Work
from gristmill.server.waiting import backoff
from gristmill.tasks.program.errors import OutputTooLarge, ProgramFailed
from gristmill.tasks.task import GristmillTask
from gristmill.worker.celery_internals import is_terminated
from gristmill.worker.limits import TimeLimitExceeded

#: Tracebacks leave out the frames of the worker: they are not the task's.
WORKER = Path(__file__).parents[1]
#: Bytes of outcomes that a chunk holds, about: no item starts while more wait to be recorded.
OUTCOMES_BYTES = 4 << 20
NAME_CHARACTERS, MESSAGE_CHARACTERS, TRACEBACK_CHARACTERS = 200, 2_000, 8_000

#: The id of this process: a call for each item would take longer.
_pid = os.getpid()


def _note_pid() -> None:
    global _pid  # noqa: PLW0603
    _pid = os.getpid()


os.register_at_fork(after_in_child=_note_pid)


def delay_ms(item: Item, work: Work, task: GristmillTask, error: BaseException) -> int | None:
    """Milliseconds until the item's next attempt, None when it has no more."""
    tries = item.attempt - item.before
    # Not `isinstance`: that asks the error for its class, and so runs code of the error's.
    if tries <= work.retries and issubclass(type(error), task.retry_on):
        return round(1000 * backoff(tries, work.retry_seconds))
    return None


def keeps_log(work: Work, state: str) -> bool:
    """Whether the server keeps what an item wrote that ended so."""
    return work.keep_logs == "all" or (state != "succeeded" and work.keep_logs == "failed")


def outcome_of(
    item: Item, state: str, text: str, started_at: float, worker: str, retry_ms: int | None, log: str | None = None
) -> Outcome:
    """The outcome of an attempt that began at `started_at` (of `time.perf_counter()`) and has just ended."""
    seconds = perf_counter() - started_at
    return Outcome(item.index, state, item.attempt, text, seconds, worker, _pid, retry_ms, log)


def explain(error: BaseException) -> dict[str, Any]:
    """An exception as a result shows it: its type, its message, and the traceback from the task's frame on.

    The error of a program has its outcome instead of a traceback. An error whose own code raises, such as its `__str__`
    or a property, is told by its type.
    """
    try:
        return _explained(error)
    except BaseException as problem:
        if type(problem) is SystemExit and is_terminated():
            raise
        message = f"(the error cannot be shown: that raised {_name(problem)})"
        return {"type": _name(error), "message": message, "traceback": ""}


def _explained(error: BaseException) -> dict[str, Any]:
    about = {"type": _name(error), "message": _clean(_text(error))[:MESSAGE_CHARACTERS]}
    if isinstance(error, (ProgramFailed, OutputTooLarge, TimeLimitExceeded)) and error.outcome is not None:
        return {**about, "traceback": "", "outcome": error.outcome}
    frames = traceback.extract_tb(error.__traceback__)
    theirs = [frame for frame in frames if WORKER not in Path(frame.filename).parents]
    text = "".join(traceback.format_list(theirs)) + "".join(traceback.format_exception_only(error))
    return {**about, "traceback": _clean(text)[-TRACEBACK_CHARACTERS:]}


def _name(error: BaseException) -> str:
    # A metaclass may have a `__name__` of its own.
    return str(vars(type)["__name__"].__get__(type(error)))[:NAME_CHARACTERS]


def _text(error: BaseException) -> str:
    try:
        return str(error)
    except TimeLimitExceeded:
        # The traceback would ask for the text once more.
        raise
    except Exception as problem:
        return f"(str() of the error raised {type(problem).__name__})"


def _clean(text: str) -> str:
    return text.encode(errors="replace").decode()
