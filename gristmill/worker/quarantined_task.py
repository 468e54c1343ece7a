"""The Celery task that runs a suspect's task alone: a message that came back from dead workers."""

import importlib
import sys
from functools import cache
from typing import Any

from celery import Celery, Task, current_app, shared_task
from celery.app.trace import trace_task_ret
from celery.exceptions import Ignore, Reject

from gristmill.worker.quarantine import ProcessDied, QuarantineUnavailable, quarantined

NAME = "gristmill.quarantined"


class Done(Ignore):
    """Raised when the task has ended alone: what came of it is stored, and sent on, already.

    `error` says how it failed, None if it did not; `result` is its value as text; `runtime` is in seconds.
    """

    def __init__(self, error: str | None, result: str, runtime: float) -> None:
        super().__init__(error, result, runtime)
        self.error, self.result, self.runtime = error, result, runtime


class PoisonMessage(Reject):
    """Raised when a message has killed its process each time: it becomes a dead letter."""


@shared_task(bind=True, name=NAME, ignore_result=True)
def run_quarantined(self: Task, *args: Any, **kwargs: Any) -> None:
    """Run the task that the message is for in a child process, with all that Celery does around it.

    Raises:
        Done: it has ended.
        Reject: the task wants that, or no child process could be started.
        PoisonMessage: it killed its process each time.
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
) -> Done | Reject:
    """Run a Celery task as a pool would; answers how it ended."""
    app = getattr(importlib.import_module(address[0]), address[1]) if address else current_app
    importlib.import_module(module)
    failed, result, runtime = trace_task_ret(name, request["id"], request, (args, kwargs, {}), None, None, app=app)
    if not failed:
        return Done(None, result, runtime)
    error = getattr(result.exception, "exc", result.exception)
    if isinstance(error, Reject):
        return Reject(str(error.reason), requeue=error.requeue)
    return Done(repr(error), "", runtime)


@cache
def _address(app: Celery) -> tuple[str, str] | None:
    """The module and the name that lead to `app`; Celery's own are those of this process."""
    for module in list(sys.modules.values()):
        if getattr(module, "__name__", "__main__").partition(".")[0] not in ("__main__", "__mp_main__", "celery"):
            for name, value in list(vars(module).items()):
                if value is app:
                    return module.__name__, name
    return None
