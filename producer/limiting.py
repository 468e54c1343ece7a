"""By what name the items of a batch are limited: that of the batch, or of its task."""

from collections.abc import Callable
from json import loads

from gristmill.batches.ledger import Ledger
from gristmill.config.limits import Limits
from gristmill.errors import InputError, invalid_value
from gristmill.producer.items.checked import CheckedItems
from gristmill.tasks.limit_values import LimitValues
from gristmill.tasks.remote import SubmittableTask

#: Tells by which value an item, given as JSON, is limited: a text of `LimitValues`.
Tells = Callable[[str], str]


def limit_values_of(task: SubmittableTask, limits: Limits, items: CheckedItems) -> Tells | None:
    """What tells by which value each item of a batch is limited; None where none is, or where workers tell it.

    Raises:
        InputError: the items have no such name, or the task is limited by another one.
    """
    of_task = task.limits.limit_by
    name = limits.limit_by or of_task
    if name is None:
        return None
    if of_task is not None and name != of_task:
        expected = f"{of_task}, by which task {task.name!r} is limited itself, or none"
        raise InputError(invalid_value("limit_by", name, expected))
    return _tells(name, items)


def stored_limit_values(ledger: Ledger, batch: str, items: CheckedItems) -> Tells | None:
    """The same for a batch that exists already: it keeps its limits, whatever this command says.

    Raises:
        InputError: the items have no such name any more.
        RedisError: the server cannot be reached, or refuses.
    """
    state = ledger.state(batch)
    name = state.get("limit_by") or state.get("task_limit_by")
    return _tells(name, items) if name else None


def _tells(name: str, items: CheckedItems) -> Tells | None:
    task = items.task
    if task.limits.limit_by == name and task.limit_function is None and name not in task.schema.parameters:
        # The task derives it, and its module is not here: workers have it.
        return None
    values = LimitValues(task, name, items.fixed, items.parameter)
    return lambda item: values.of(loads(item))
