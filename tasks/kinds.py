"""`@cpu` and `@io`: what makes a function a task of its kind."""

import inspect
from collections.abc import Callable
from enum import StrEnum
from functools import cached_property
from typing import Any, ParamSpec, Protocol, TypeVar, get_type_hints, overload

from gristmill.fleet.announcement import Announcement
from gristmill.tasks.application import app
from gristmill.tasks.celery_internals import registered
from gristmill.tasks.celery_task import P as TaskP
from gristmill.tasks.celery_task import R_co, TypedTask
from gristmill.tasks.fingerprint import fingerprint, modules_of
from gristmill.tasks.return_type import ReturnType
from gristmill.tasks.schema import Schema

P = ParamSpec("P")
R = TypeVar("R")


class Kind(StrEnum):
    """What a task spends its time on; the name of its queue."""

    #: Computes: runs on `prefork` workers, one process per core.
    CPU = "cpu"
    #: Waits: runs on `threads` workers.
    IO = "io"


class GristmillTask(TypedTask[TaskP, R_co]):
    """A Celery task that batches can run too: it has a kind, and a schema made from its annotations."""

    abstract = True
    kind: Kind
    schema: Schema
    return_type: ReturnType
    #: How many more times a failed item is tried, and after which exceptions.
    retries: int
    retry_on: tuple[type[BaseException], ...]

    @cached_property
    def modules(self) -> dict[str, str]:
        """The hash of each module that the function depends on, by name, as the modules are now."""
        return modules_of(self.run)

    @cached_property
    def fingerprint(self) -> str:
        """12 hex digits that tell whether two hosts have the same code of the task."""
        return fingerprint(self.modules)

    @property
    def announcement(self) -> Announcement:
        """What a worker announces of the task."""
        parameters = {name: parameter.required for name, parameter in self.schema.parameters.items()}
        objects = {name: parameter.takes_object for name, parameter in self.schema.parameters.items()}
        return Announcement(self.fingerprint, str(self.kind), parameters, self.retries, self.modules, objects)

    @property
    def summary(self) -> str:
        """The first line of the function's docstring."""
        return (inspect.getdoc(self.run) or "").partition("\n")[0]


def route(_name: str, _args: Any, _kwargs: Any, _options: Any, task: Any = None, **_: Any) -> dict[str, str] | None:
    """Celery's router: a plain call of a task goes to the queue of its kind."""
    return {"queue": str(task.kind)} if isinstance(task, GristmillTask) else None


class Decorator(Protocol):
    """`@cpu(…)` and `@io(…)`: makes a function a task that keeps the function's signature."""

    def __call__(self, function: Callable[P, R], /) -> GristmillTask[P, R]: ...


def _refuse_namesake(name: str, kind: Kind, module: str) -> None:
    """Refuse a second task of a name: Celery would let the first one keep it, and say nothing."""
    holder = registered(app, name)
    if holder is None:
        return
    other = holder.run.__module__
    if not isinstance(holder, GristmillTask):
        raise TypeError(
            f"two tasks are called {name!r}: one of Celery's (@shared_task or @app.task) in {other}, one of @{kind} "
            f"in {module}: give one of them another name"
        )
    if other != module:
        raise TypeError(
            f"two tasks are called {name!r}, in {other} and in {module}: name one of them with @{kind}(name=…)"
        )


def _types(function: Callable[..., Any], check: Callable[..., None] | None, name: str) -> dict[str, Any]:
    """What the annotations of a task's function say of its items and of its values."""
    try:
        hints = get_type_hints(function, include_extras=True)
        return_type = ReturnType.of(function, hints.get("return", Any))
        return {"schema": Schema.of(function, check), "return_type": return_type}
    except NameError as error:
        raise TypeError(f"task {name!r}: {error} (expected annotations whose names exist at run time)") from error
    except TypeError as error:
        raise TypeError(f"task {name!r}: {error}") from error


def _decorator(
    kind: Kind,
    name: str | None,
    check: Callable[..., None] | None,
    retries: int,
    retry_on: tuple[type[BaseException], ...],
    time_limit: float | None,
) -> Decorator:
    def decorate(function: Callable[P, R], /) -> GristmillTask[P, R]:
        task_name = name or function.__name__
        _refuse_namesake(task_name, kind, function.__module__)
        options = {
            "kind": kind,
            **_types(function, check, task_name),
            "retries": retries,
            "retry_on": retry_on,
            "time_limit": time_limit,
        }
        task: GristmillTask[P, R] = app.task(base=GristmillTask, name=task_name, lazy=False, **options)(function)
        return task

    return decorate


@overload
def cpu(function: Callable[P, R], /) -> GristmillTask[P, R]: ...
@overload
def cpu(
    *,
    name: str | None = ...,
    check: Callable[..., None] | None = ...,
    retries: int = ...,
    retry_on: tuple[type[BaseException], ...] = ...,
    time_limit: float | None = ...,
) -> Decorator: ...
def cpu(
    function: Callable[P, R] | None = None,
    /,
    *,
    name: str | None = None,
    check: Callable[..., None] | None = None,
    retries: int = 0,
    retry_on: tuple[type[BaseException], ...] = (Exception,),
    time_limit: float | None = None,
) -> GristmillTask[P, R] | Decorator:
    """Make a function a task that computes: it runs in a process, on the queue `cpu`.

    `name` is the task's name (default: the function's). `check` is called with every argument by keyword, defaults
    included, once each has passed its annotation: when an item is submitted, and again on the worker; it raises
    ValueError to refuse the item. A failed item is tried `retries` more times if it raised one of `retry_on`. An item
    fails when it takes more than `time_limit` seconds (default: the setting GRISTMILL_TIME_LIMIT; 0: no limit).

    The decorated function can still be called as before, and is a Celery task.

    Raises:
        TypeError: another module has a task of that name; or the function takes `*args`, `**kwargs` or
            positional-only parameters, yields, or has a return annotation that pydantic cannot write and read.
    """
    decorate = _decorator(Kind.CPU, name, check, retries, retry_on, time_limit)
    return decorate if function is None else decorate(function)


@overload
def io(function: Callable[P, R], /) -> GristmillTask[P, R]: ...
@overload
def io(
    *,
    name: str | None = ...,
    check: Callable[..., None] | None = ...,
    retries: int = ...,
    retry_on: tuple[type[BaseException], ...] = ...,
    time_limit: float | None = ...,
) -> Decorator: ...
def io(
    function: Callable[P, R] | None = None,
    /,
    *,
    name: str | None = None,
    check: Callable[..., None] | None = None,
    retries: int = 0,
    retry_on: tuple[type[BaseException], ...] = (Exception,),
    time_limit: float | None = None,
) -> GristmillTask[P, R] | Decorator:
    """Make a function a task that waits: it runs in one of many threads, on the queue `io`. Options as for `cpu`.

    A thread cannot be ended: `time_limit` applies only to an item that runs in quarantine.
    """
    decorate = _decorator(Kind.IO, name, check, retries, retry_on, time_limit)
    return decorate if function is None else decorate(function)
