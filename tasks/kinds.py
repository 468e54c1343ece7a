"""`@cpu` and `@io`: what makes a function a task of its kind."""

import asyncio
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
from gristmill.tasks.setup import Setup, setup_of

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
    #: Whether the function is a coroutine function: its items run on an event loop.
    is_async: bool = False
    #: Whether what its items write is theirs: kept with their outcome, and not on the worker's own streams.
    capture: bool = True
    #: What runs once in each process before its first item; and whether it runs before the processes are forked.
    setup: Setup | None = None
    preload: bool = False

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
        return Announcement(
            self.fingerprint, str(self.kind), parameters, self.retries, self.modules, objects, self.is_async
        )

    @property
    def summary(self) -> str:
        """The first line of the function's docstring."""
        return (inspect.getdoc(self.run) or "").partition("\n")[0]


class PreparedTask(GristmillTask[TaskP, R_co]):
    """A task with a setup, which also runs before the first plain call of the task in a process."""

    abstract = True

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        """Call the function; where Celery runs the task, after its setup."""
        if self.setup and not self.request.called_directly:
            self.setup.run()
        return self.run(*args, **kwargs)


class CoroutineTask(GristmillTask[TaskP, R_co]):
    """A task made of a coroutine function: a call returns a coroutine, as the function's own call does."""

    abstract = True
    is_async = True

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        """Make the coroutine; where Celery runs the task, run it, in an event loop of its own."""
        coroutine = self.run(*args, **kwargs)
        return coroutine if self.request.called_directly else asyncio.run(self._prepared(coroutine))

    async def _prepared(self, coroutine: Any) -> Any:
        if self.setup and self.setup.is_async:
            await self.setup.function()
        elif self.setup:
            self.setup.run()
        return await coroutine


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


def _refuse_coroutine(function: Callable[..., Any], kind: Kind) -> None:
    """Refuse a coroutine function where no event loop runs it."""
    if kind is Kind.CPU and inspect.iscoroutinefunction(function):
        raise TypeError(
            f"invalid function for @cpu: {function.__name__!r} is `async def` (expected a function that computes; "
            "coroutines wait: make it @io, or a plain function that calls asyncio.run)"
        )


def _base(is_async: bool, setup: Setup | None) -> type[GristmillTask]:
    if is_async:
        return CoroutineTask
    return PreparedTask if setup else GristmillTask


def _decorator(
    kind: Kind,
    name: str | None,
    check: Callable[..., None] | None,
    setup: Callable[[], Any] | None,
    **attributes: Any,
) -> Decorator:
    """The decorator; `attributes` are those of GristmillTask."""

    def decorate(function: Callable[P, R], /) -> GristmillTask[P, R]:
        task_name = name or function.__name__
        _refuse_namesake(task_name, kind, function.__module__)
        _refuse_coroutine(function, kind)
        is_async = inspect.iscoroutinefunction(function)
        prepared = setup_of(setup, is_async, attributes.get("preload", False), task_name)
        types = _types(function, check, task_name)
        options = {"kind": kind, "setup": prepared, **types, **attributes}
        base = _base(is_async, prepared)
        task: GristmillTask[P, R] = app.task(base=base, name=task_name, lazy=False, **options)(function)
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
    capture: bool = ...,
    setup: Callable[[], Any] | None = ...,
    preload: bool = ...,
) -> Decorator: ...
def cpu(  # noqa: PLR0913
    function: Callable[P, R] | None = None,
    /,
    *,
    name: str | None = None,
    check: Callable[..., None] | None = None,
    retries: int = 0,
    retry_on: tuple[type[BaseException], ...] = (Exception,),
    time_limit: float | None = None,
    capture: bool = True,
    setup: Callable[[], Any] | None = None,
    preload: bool = False,
) -> GristmillTask[P, R] | Decorator:
    """Make a function a task that computes: it runs in a process, on the queue `cpu`.

    `name` is the task's name (default: the function's). `check` is called with every argument by keyword, defaults
    included, once each has passed its annotation: when an item is submitted, and again on the worker; it raises
    ValueError to refuse the item. A failed item is tried `retries` more times if it raised one of `retry_on`. An item
    fails when it takes more than `time_limit` seconds (default: the setting GRISTMILL_TIME_LIMIT; 0: no limit).
    With `capture=False`, what its items write goes to the worker's own output, and the server keeps nothing of it.

    `setup` is called without arguments once in each process, before the process's first item of the task, and takes
    nothing of an item's time. While it fails, workers return the items to their queue, and call it again at most a
    minute later. With `preload=True`, a worker calls it when it starts, before its processes are forked: they share the
    memory of what it loads.

    The decorated function can still be called as before, and is a Celery task.

    Raises:
        TypeError: another module has a task of that name; or the function takes `*args`, `**kwargs` or
            positional-only parameters, yields, is a coroutine function, or has a return annotation that pydantic cannot
            write and read; or `setup` needs arguments or is a coroutine function; or `preload` has no `setup`.
    """
    decorate = _decorator(
        Kind.CPU,
        name,
        check,
        setup,
        retries=retries,
        retry_on=retry_on,
        time_limit=time_limit,
        capture=capture,
        preload=preload,
    )
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
    capture: bool = ...,
    setup: Callable[[], Any] | None = ...,
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
    capture: bool = True,
    setup: Callable[[], Any] | None = None,
) -> GristmillTask[P, R] | Decorator:
    """Make a function a task that waits, on the queue `io`. Options as for `cpu`.

    A plain function runs in one of many threads. A thread cannot be ended: its `time_limit` applies only to an item
    that runs in quarantine. A coroutine function (`async def`) runs on the event loop of its worker, up to
    GRISTMILL_ASYNC_SLOTS items at once, and is cancelled at its time limit. Its `setup` may be a coroutine function,
    which runs once on that event loop. There is no `preload`: the threads of a worker share one process.
    """
    decorate = _decorator(
        Kind.IO, name, check, setup, retries=retries, retry_on=retry_on, time_limit=time_limit, capture=capture
    )
    return decorate if function is None else decorate(function)
