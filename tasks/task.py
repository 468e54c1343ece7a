"""A Gristmill task: a Celery task with a kind, a queue, and a schema of its items."""

import asyncio
import inspect
from collections.abc import Callable, Sequence
from functools import cached_property
from typing import Any

from gristmill.config.limits import UNLIMITED, Limits
from gristmill.config.resources import Resources
from gristmill.fleet.announcement import Announcement
from gristmill.tasks.celery_task import P as TaskP
from gristmill.tasks.celery_task import R_co, TypedTask
from gristmill.tasks.fingerprint import fingerprint, modules_of
from gristmill.tasks.kind import Kind
from gristmill.tasks.return_type import ReturnType
from gristmill.tasks.schema import Schema
from gristmill.tasks.server_errors import one_line
from gristmill.tasks.setup import Setup


class GristmillTask(TypedTask[TaskP, R_co]):
    """A Celery task that batches can run too: it has a kind, and a schema made from its annotations."""

    abstract = True
    kind: Kind
    #: The queue of its items; `queue` itself is a deprecated attribute of Celery's tasks.
    queue_name: str
    #: What an item takes of its worker while it runs, unless its batch says otherwise.
    resources: Resources = Resources()
    #: What bounds its items over the fleet, in all of its batches together; or what tells, when a batch is submitted.
    own_limits: Limits | Callable[[], Limits] = UNLIMITED
    #: What derives from an item's arguments the value by which it is limited.
    limit_function: Callable[..., object] | None = None
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

    def put_quickly(self, arguments: Sequence[Any]) -> Any:
        """Put a plain call; None if Celery has to.

        Raises:
            ServerError: the server cannot be reached, or refuses the message.
        """
        with one_line():
            return super().put_quickly(arguments)

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
            self.fingerprint,
            str(self.kind),
            parameters,
            self.retries,
            self.modules,
            objects,
            self.is_async,
            self.queue_name,
            *self.resources,
            *(self.limits.fields().get(name, "") for name in ("max_running", "rate", "limit_by")),
        )

    @property
    def limits(self) -> Limits:
        """What bounds its items over the fleet, in all of its batches together."""
        return self.own_limits if isinstance(self.own_limits, Limits) else self.own_limits()

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
    """Celery's router: a plain call of a task goes to the queue of the task."""
    return {"queue": task.queue_name} if isinstance(task, GristmillTask) else None


# It depends on nothing but the task: the messages of its calls are alike.
route.is_by_task = True  # type: ignore[attr-defined]
