"""The batches on the server: one of them by its name, and all of them."""

from collections.abc import Coroutine
from typing import TYPE_CHECKING, Any, TypeVar, overload

from gristmill.batches.info import BatchInfo
from gristmill.batches.ledger import Ledger
from gristmill.batches.workflow import workflow_of
from gristmill.config.settings import settings
from gristmill.errors import InputError, invalid_value, unknown_batch
from gristmill.producer.batch import Batch
from gristmill.producer.value_order import Read
from gristmill.server.connection import client, reaching

if TYPE_CHECKING:
    from gristmill.tasks.task import GristmillTask

R = TypeVar("R")


@overload
def open_batch(name: str, *, task: "GristmillTask[..., Coroutine[Any, Any, R]]") -> Batch[R]: ...
@overload
def open_batch(name: str, *, task: "GristmillTask[..., R]") -> Batch[R]: ...
@overload
def open_batch(name: str, *, task: str | None = ...) -> Batch[Any]: ...
def open_batch(name: str, *, task: Any = None) -> Batch[Any]:
    """The batch called `name`.

    With `task`, the batch's task, values have the type of its return annotation, here and in results, as they have
    after `submit`. `task` is a function decorated with `@cpu` or `@io`, or the name of one whose module this process
    has. Without it, values are as JSON has them.

    Raises:
        InputError: no batch has this name, or it is one of another task; or this process has no such task.
        ServerError: the server cannot be reached.
        SettingError: a module with tasks cannot be imported.
    """
    with reaching():
        ledger = Ledger(client(), settings())
    batch: Batch = Batch(name, ledger, _read(task))
    info = batch.info()
    if task is not None and info.task != (expected := getattr(task, "name", task)):
        raise InputError(invalid_value("task", expected, f"{info.task!r}, the task of batch {name!r}"))
    return batch


def _read(task: Any) -> Read | None:
    if task is None:
        return None
    # Commands that only read do not wait for Celery.
    from gristmill.tasks import catalog
    from gristmill.tasks.task import GristmillTask

    known_task = catalog.find(task) if isinstance(task, str) else task
    if not isinstance(known_task, GristmillTask):
        raise InputError(invalid_value("task", task, "a function decorated with @cpu or @io, or a task's name"))
    return known_task.return_type.reader


def batches(*, workflow: str | None = None) -> list[BatchInfo]:
    """The counters of all batches on the server, oldest first.

    With `workflow`, the name of a batch, only those of its workflow: that batch, those that it follows, those that
    follow it, and so on.

    Raises:
        InputError: `workflow` is not the name of a batch.
        ServerError: the server cannot be reached.
    """
    with reaching():
        ledger = Ledger(client(), settings())
        if workflow is None:
            return ledger.infos(ledger.names())
        infos = workflow_of(ledger, workflow)
    if not infos:
        raise unknown_batch(workflow)
    return infos
