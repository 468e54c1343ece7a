"""`@cpu` and `@io`: what makes a function a task of its kind."""

import hashlib
import inspect
from collections.abc import Callable
from enum import StrEnum
from functools import cached_property
from typing import Any, overload

from celery import Task

from gristmill.tasks.application import app
from gristmill.tasks.schema import Schema


class Kind(StrEnum):
    """What a task spends its time on; the name of its queue."""

    #: Computes: runs on `prefork` workers, one process per core.
    CPU = "cpu"
    #: Waits: runs on `threads` workers.
    IO = "io"


class GristmillTask(Task):
    """A Celery task that batches can run too: it has a kind, and a schema from its annotations."""

    abstract = True
    kind: Kind
    schema: Schema
    #: How often a failed item is tried again, and after which exceptions.
    retries: int
    retry_on: tuple[type[BaseException], ...]

    @cached_property
    def fingerprint(self) -> str:
        """First 12 hex digits of the SHA-256 of the function's source: tells whether hosts run the same code."""
        try:
            source = inspect.getsource(self.run)
        except (OSError, TypeError):
            source = self.name
        return hashlib.sha256(source.encode()).hexdigest()[:12]

    @property
    def summary(self) -> str:
        """The first line of the function's docstring."""
        return (inspect.getdoc(self.run) or "").partition("\n")[0]


def route(_name: str, _args: Any, _kwargs: Any, _options: Any, task: Any = None, **_: Any) -> dict[str, str] | None:
    """Celery's router: a plain call of a task goes to the queue of its kind."""
    return {"queue": str(task.kind)} if isinstance(task, GristmillTask) else None


Decorator = Callable[[Callable[..., Any]], GristmillTask]


def _task(
    kind: Kind,
    function: Callable[..., Any] | None,
    name: str | None,
    check: Callable[..., None] | None,
    retries: int,
    retry_on: tuple[type[BaseException], ...],
    time_limit: float | None,
) -> GristmillTask | Decorator:
    def decorate(function: Callable[..., Any]) -> GristmillTask:
        known_as = name or function.__name__
        holder = app._tasks.get(known_as)
        if holder is not None and holder.run.__module__ != function.__module__:
            raise TypeError(
                f"two tasks are called {known_as!r}: in {holder.run.__module__} and in {function.__module__}; "
                f"give one a name: @{kind}(name=…)"
            )
        options = {
            "kind": kind,
            "schema": Schema(function, check),
            "retries": retries,
            "retry_on": retry_on,
            "time_limit": time_limit,
        }
        task: GristmillTask = app.task(base=GristmillTask, name=known_as, lazy=False, **options)(function)
        return task

    return decorate if function is None else decorate(function)


@overload
def cpu(function: Callable[..., Any], /) -> GristmillTask: ...
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
    function: Callable[..., Any] | None = None,
    /,
    *,
    name: str | None = None,
    check: Callable[..., None] | None = None,
    retries: int = 0,
    retry_on: tuple[type[BaseException], ...] = (Exception,),
    time_limit: float | None = None,
) -> GristmillTask | Decorator:
    """Make a function a task that computes: it runs in a process of its own, on queue `cpu`.

    `name` is what the command line calls it (default: the function's name). `check` gets every argument by
    name once each has passed its annotation, on the producer before anything is sent and again on the worker,
    and raises ValueError. A failed item is tried `retries` times more when it raised one of `retry_on`. An item
    that takes more than `time_limit` seconds fails (default: `GRISTMILL_TIME_LIMIT`; 0: it may take any time).

    Raises:
        TypeError: the name is taken, or the function takes `*args`, `**kwargs` or positional-only parameters.
    """
    return _task(Kind.CPU, function, name, check, retries, retry_on, time_limit)


@overload
def io(function: Callable[..., Any], /) -> GristmillTask: ...
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
    function: Callable[..., Any] | None = None,
    /,
    *,
    name: str | None = None,
    check: Callable[..., None] | None = None,
    retries: int = 0,
    retry_on: tuple[type[BaseException], ...] = (Exception,),
    time_limit: float | None = None,
) -> GristmillTask | Decorator:
    """Make a function a task that waits: it runs in one of many threads, on queue `io`. Options as of `cpu`.

    A thread cannot be ended: `time_limit` holds only for an item that runs alone, as a suspect.
    """
    return _task(Kind.IO, function, name, check, retries, retry_on, time_limit)
