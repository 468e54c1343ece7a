"""The Celery task that runs a suspect's task in quarantine; a suspect is a message that came back from dead workers."""

import importlib
import sys
from functools import cache
from typing import Any

from celery import Celery, Task, current_app, shared_task
from celery.exceptions import Ignore, Reject

from gristmill.worker.slot.quarantine import ProcessDied, QuarantineUnavailable, quarantined
from gristmill.worker.slot.trace import EndNotStored, run_to_end

NAME = "gristmill.quarantined"


class QuarantinedTaskEnded(Ignore):
    """Raised when the task has ended in quarantine: its result is stored already, and its callbacks are sent.

    `error` says how the task failed, or is None; `result` is its value as text; `runtime` is in seconds.
    """

    def __init__(self, error: str | None, result: str, runtime: float) -> None:
        super().__init__(error, result, runtime)
        self.error, self.result, self.runtime = error, result, runtime


class PoisonMessage(Reject):
    """Raised when a message has killed its process each time; the message becomes a dead letter."""


@shared_task(bind=True, name=NAME, ignore_result=True)
def run_quarantined(self: Task, *args: Any, **kwargs: Any) -> None:
    """Run the message's task in a child process, with all that Celery does around it.

    Raises:
        QuarantinedTaskEnded: the task has ended.
        EndNotStored: the task may have run, and how it ended is not stored.
        Reject: the task asks for that, or no child process starts.
        PoisonMessage: the task killed its process each time.
    """
    request = {name: value for name, value in vars(self.request).items() if not name.startswith("_")}
    task = self.app.tasks[request["task"]]
    try:
        end = quarantined(run_traced, _address(self.app), task.__module__, task.name, request, args, kwargs)
    except QuarantineUnavailable as error:
        raise Reject(str(error), requeue=True) from error
    except ProcessDied as death:
        raise PoisonMessage(str(death)) from death
    raise end


def run_traced(
    address: tuple[str, str] | None, module: str, name: str, request: dict[str, Any], args: Any, kwargs: Any
) -> QuarantinedTaskEnded | Reject | EndNotStored:
    """Run a Celery task as a pool would; return how it ended."""
    app = getattr(importlib.import_module(address[0]), address[1]) if address else current_app
    app.set_current()
    importlib.import_module(module)
    failed, result, runtime = run_to_end(name, request["id"], request, (args, kwargs, {}), None, None)
    if not failed:
        return QuarantinedTaskEnded(None, result, runtime)
    error = getattr(result.exception, "exc", result.exception)
    if isinstance(error, EndNotStored):
        return error
    if isinstance(error, Reject):
        return Reject(str(error.reason), requeue=error.requeue)
    return QuarantinedTaskEnded(repr(error), "", runtime)


@cache
def _address(app: Celery) -> tuple[str, str] | None:
    """The module and the name in it under which other processes find `app`; None when no module has it."""
    for module in list(sys.modules.values()):
        if getattr(module, "__name__", "__main__").partition(".")[0] not in ("__main__", "__mp_main__", "celery"):
            for name, value in list(vars(module).items()):
                if value is app:
                    return module.__name__, name
    return None
