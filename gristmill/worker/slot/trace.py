"""What a slot runs: Celery's trace of a task, whose every end each pool reports in the same way."""

import pickle
from contextvars import ContextVar
from typing import Any

from billiard.einfo import ExceptionInfo
from billiard.exceptions import SoftTimeLimitExceeded
from celery import current_app
from celery.exceptions import BackendError, Ignore, Reject
from celery.signals import task_internal_error
from kombu.exceptions import OperationalError

from gristmill.broker.messages import wait_out
from gristmill.server.waiting import passing
from gristmill.worker.celery_internals import trace


class EndNotStored(Ignore):
    """Stands for an error that Celery leaves to the pool: how the task ended is not stored anywhere.

    `reason` is the error as text; `passes` says whether it passes with time, as when the result backend is away.
    """

    def __init__(self, reason: str, passes: bool) -> None:
        super().__init__(reason, passes)
        self.reason, self.passes = reason, passes


class RunLater(Ignore):
    """Raised by a task whose message is to run again later, each time after a longer wait; `reason` says why."""

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason


def passes(error: Exception) -> bool:
    """Whether a result that could not be stored because of `error` can be stored later."""
    return passing(error) or isinstance(error, OSError | OperationalError | BackendError | SoftTimeLimitExceeded)


class _Unstored(BaseException):
    """Ends Celery's trace: Celery would go on to store the error, as the failure of a task that may have succeeded."""


#: Whether this thread or greenlet is in `run_to_end`.
_is_tracing = ContextVar("is_tracing", default=False)


@task_internal_error.connect(weak=False)
def _end_trace(exception: Exception, **_: Any) -> None:
    if _is_tracing.get() and passes(exception):
        raise _Unstored from exception


def as_text(error: BaseException) -> str:
    """The kind and the words of an error: redis-py's `repr` has no words."""
    return f"{type(error).__name__}: {error}"


def run_to_end(task: str, identity: str, request: dict[str, Any], *content: Any) -> Any:
    """Run a task at its time, with all that Celery does around it; what Celery's `fast_trace_task` takes.

    Answers as Celery does: whether the task failed, its value as text or its error, its seconds. An error that Celery
    leaves to the pool is such an answer too: prefork would acknowledge the message of a task that raises one, threads
    and greenlets would forget the message, and solo would end the worker's loop.
    """
    if eta := request.get("eta"):
        wait_out(eta)
    token = _is_tracing.set(True)
    try:
        return _readable(trace(current_app, task, identity, request, *content))
    except Reject:
        return _readable((1, ExceptionInfo(internal=True), None))
    except (Exception, _Unstored) as error:
        cause: Any = error.__cause__ if isinstance(error, _Unstored) else error
        unstored = EndNotStored(as_text(cause), passes(cause))
        return 1, ExceptionInfo((EndNotStored, unstored, cause.__traceback__)), None
    finally:
        _is_tracing.reset(token)


def _readable(answer: tuple[int, Any, Any]) -> tuple[int, Any, Any]:
    """An answer that the worker can read: it would end over another one. Of other errors, Celery sees to that."""
    failed, result, seconds = answer
    error = getattr(result.exception, "exc", result.exception) if failed else None
    if not isinstance(error, Ignore | Reject):
        return answer
    try:
        pickle.loads(pickle.dumps(error))  # noqa: S301
    except Exception:
        text = as_text(error)
        try:
            raise (
                Reject(str(error.reason), requeue=error.requeue) if isinstance(error, Reject) else Ignore(text)
            ) from None
        except (Ignore, Reject):
            return failed, ExceptionInfo(internal=True), seconds
    return answer
