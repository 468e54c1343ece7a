"""`@cpu` and `@io`: what makes a function a task of its kind."""

import inspect
from collections.abc import Callable
from typing import Any, ParamSpec, Protocol, TypedDict, TypeVar, get_type_hints, overload

from typing_extensions import Unpack

from gristmill.config.limits import LimitBy, Limits
from gristmill.config.names import checked_queue
from gristmill.config.resources import Resources, refuse_of_coroutines
from gristmill.errors import invalid_value
from gristmill.tasks.application import app
from gristmill.tasks.celery_internals import registered
from gristmill.tasks.kind import Kind, settle_kind
from gristmill.tasks.return_type import ReturnType
from gristmill.tasks.schema import Schema
from gristmill.tasks.setup import setup_of
from gristmill.tasks.task import CoroutineTask, GristmillTask, PreparedTask

P = ParamSpec("P")
R = TypeVar("R")


class Decorator(Protocol):
    """`@cpu(…)` and `@io(…)`: makes a function a task that keeps the function's signature."""

    def __call__(self, function: Callable[P, R], /) -> GristmillTask[P, R]: ...


class IoOptions(TypedDict, total=False):
    """What `@io` takes."""

    name: str | None
    queue: str | None
    check: Callable[..., None] | None
    retries: int
    retry_on: tuple[type[BaseException], ...]
    time_limit: float | None
    memory: str | float | None
    slots: int
    max_running: str | int | None
    rate: str | None
    limit_by: LimitBy | None
    capture: bool
    setup: Callable[[], Any] | None


class CpuOptions(IoOptions, total=False):
    """What `@cpu` takes."""

    preload: bool


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


def _queue_of(kind: Kind, queue: str | None, task: str) -> str:
    """The queue of a task. A queue has tasks of one kind, because its workers have one pool."""
    name = str(kind) if queue is None else checked_queue(queue)
    other = settle_kind(name, kind)
    if other is not kind:
        raise TypeError(
            f"invalid queue for task {task!r}: {name!r}, which has @{other} tasks (expected a queue of @{kind} tasks: "
            "the workers of a queue have one pool)"
        )
    return name


def _limits(max_running: str | int | None, rate: str | None, limit_by: LimitBy | None) -> dict[str, Any]:
    """The attributes of a task that say what bounds its items."""
    function = staticmethod(limit_by) if callable(limit_by) else None
    return {"own_limits": Limits.of(max_running, rate, limit_by), "limit_function": function}


def _refuse_unknown(limit_by: str | None, function: Callable[..., Any] | None, schema: Schema, task: str) -> None:
    """Refuse a name of which no item has a value."""
    names = [*inspect.signature(function).parameters] if function else [limit_by] if limit_by else []
    for name in names:
        if name not in schema.parameters:
            expected = f"one of {', '.join(schema.parameters)}, or a function of these"
            raise TypeError(f"task {task!r}: {invalid_value('limit_by', name, expected)}")


def _decorator(
    kind: Kind,
    name: str | None,
    queue: str | None,
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
        refuse_of_coroutines(attributes["resources"], is_async, task_name)
        prepared = setup_of(setup, is_async, attributes.get("preload", False), task_name)
        types = _types(function, check, task_name)
        limits, derives = attributes["own_limits"], attributes["limit_function"]
        _refuse_unknown(limits.limit_by, derives and derives.__func__, types["schema"], task_name)
        own = {"kind": kind, "queue_name": _queue_of(kind, queue, task_name), "setup": prepared}
        options = {**own, **types, **attributes}
        base = CoroutineTask if is_async else PreparedTask if prepared else GristmillTask
        task: GristmillTask[P, R] = app.task(base=base, name=task_name, lazy=False, **options)(function)
        return task

    return decorate


@overload
def cpu(function: Callable[P, R], /) -> GristmillTask[P, R]: ...
@overload
def cpu(**options: Unpack[CpuOptions]) -> Decorator: ...
def cpu(  # noqa: PLR0913
    function: Callable[P, R] | None = None,
    /,
    *,
    name: str | None = None,
    queue: str | None = None,
    check: Callable[..., None] | None = None,
    retries: int = 0,
    retry_on: tuple[type[BaseException], ...] = (Exception,),
    time_limit: float | None = None,
    memory: str | float | None = None,
    slots: int = 1,
    max_running: str | int | None = None,
    rate: str | None = None,
    limit_by: LimitBy | None = None,
    capture: bool = True,
    setup: Callable[[], Any] | None = None,
    preload: bool = False,
) -> GristmillTask[P, R] | Decorator:
    """Make a function a task that computes: it runs in a process.

    `name` is the task's name (default: the function's). `queue` is the queue whose workers run its items (default: the
    queue `cpu`). `check` is called with every argument by keyword, defaults included, once each has passed its
    annotation: when an item is submitted, and again on the worker; it raises ValueError to refuse the item. A failed
    item is tried `retries` more times if it raised one of `retry_on`. An item fails when it takes more than
    `time_limit` seconds (default: the setting GRISTMILL_TIME_LIMIT; 0: no limit).
    While an item runs, it takes `slots` of its worker's slots, and reserves `memory`, a size such as `"4G"`, beyond
    which it cannot allocate (default: nothing is reserved, and GRISTMILL_SLOT_MEMORY limits its process).
    `max_running` and `rate` bound its items over the fleet, in all of its batches together, as those of a batch do
    (`8`, `"50%"`, `"+2"`; `"10/s"`); a batch may have limits of its own beside them. With `limit_by`, they hold for
    each value of a parameter, or of a function of parameters: `limit_by="customer"`, or `limit_by=host` for a function
    `host(url)`.
    With `capture=False`, what its items write goes to the worker's own output, and the server keeps nothing of it.

    `setup` is called without arguments once in each process, before the process's first item of the task, and takes
    nothing of an item's time. While it fails, workers return the items to their queue, and call it again at most a
    minute later. With `preload=True`, a worker calls it when it starts, before its processes are forked: they share the
    memory of what it loads.

    The decorated function can still be called as before, and is a Celery task.

    Raises:
        InputError: `memory`, `slots`, `max_running` or `rate` is not valid, `limit_by` has neither of the last two
            beside it, or `queue` is not a name.
        TypeError: another module has a task of that name; tasks of the other kind have that queue; or the function
            takes `*args`, `**kwargs` or positional-only parameters, yields, is a coroutine function, or has a return
            annotation that pydantic cannot write and read; or `setup` needs arguments or is a coroutine function; or
            `preload` has no `setup`.
    """
    decorate = _decorator(
        Kind.CPU,
        name,
        queue,
        check,
        setup,
        resources=Resources.of(slots, memory),
        **_limits(max_running, rate, limit_by),
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
def io(**options: Unpack[IoOptions]) -> Decorator: ...
def io(  # noqa: PLR0913
    function: Callable[P, R] | None = None,
    /,
    *,
    name: str | None = None,
    queue: str | None = None,
    check: Callable[..., None] | None = None,
    retries: int = 0,
    retry_on: tuple[type[BaseException], ...] = (Exception,),
    time_limit: float | None = None,
    memory: str | float | None = None,
    slots: int = 1,
    max_running: str | int | None = None,
    rate: str | None = None,
    limit_by: LimitBy | None = None,
    capture: bool = True,
    setup: Callable[[], Any] | None = None,
) -> GristmillTask[P, R] | Decorator:
    """Make a function a task that waits. Options as for `cpu`; its queue is `io` by default.

    A plain function runs in one of many threads. A thread cannot be ended: its `time_limit`, and `memory` as a limit,
    apply only to an item that runs in quarantine. A coroutine function (`async def`) runs on the event loop of its
    worker, up to GRISTMILL_ASYNC_SLOTS items at once, and is cancelled at its time limit; it takes neither `memory` nor
    `slots`. Its `setup` may be a coroutine function, which runs once on that event loop. There is no `preload`: the
    threads of a worker share one process.
    """
    decorate = _decorator(
        Kind.IO,
        name,
        queue,
        check,
        setup,
        resources=Resources.of(slots, memory),
        **_limits(max_running, rate, limit_by),
        retries=retries,
        retry_on=retry_on,
        time_limit=time_limit,
        capture=capture,
    )
    return decorate if function is None else decorate(function)
