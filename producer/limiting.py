"""By what name the items of a batch are limited: that of the batch, or of its task."""

from gristmill.batches.ledger import Ledger
from gristmill.config.limits import UNLIMITED, Limits
from gristmill.errors import InputError, invalid_value
from gristmill.producer.items.checked import CheckedItems
from gristmill.tasks.limit_values import LimitValues
from gristmill.tasks.remote import SubmittableTask


def limit_values_of(
    task: SubmittableTask, limits: Limits, items: CheckedItems, *, tells_values: bool
) -> LimitValues | None:
    """What tells by which value each item of a batch with these `limits` is limited; None where none is.

    `tells_values` says whether the producer tells the server the values of all items, so that limits by value can hold.

    Raises:
        InputError: the items have no such name, the task is limited by another one, or nobody tells the values.
    """
    if not tells_values:
        if limits.limit_by is None:
            return None
        expected = (
            "no value with from_batch, whose items the server takes without reading their arguments: "
            "have a task with a parameter of type Batch submit them"
        )
        raise InputError(invalid_value("limit_by", limits.limit_by, expected))
    of_task = task.limits.limit_by
    name = limits.limit_by or of_task
    if name is None:
        return None
    if of_task is not None and name != of_task:
        expected = f"{of_task}, by which task {task.name!r} is limited itself, or none"
        raise InputError(invalid_value("limit_by", name, expected))
    return LimitValues(task, name, items.fixed, items.parameter)


def task_limits(task: SubmittableTask, *, tells_values: bool) -> Limits:
    """The limits of its task that a batch is created with: those by value only where the server knows the values."""
    return task.limits if tells_values or task.limits.limit_by is None else UNLIMITED


def unknown_values(task: SubmittableTask, *, tells_values: bool) -> list[str]:
    """What a caller should know of a task's limits by value; nothing where they hold."""
    if tells_values or task.limits.limit_by is None:
        return []
    limits = f"the limits of task {task.name!r} for each {task.limits.limit_by}"
    return [f"{limits} do not hold for values of another batch: the server does not read the items that it takes"]


def stored_limit_values(ledger: Ledger, batch: str, items: CheckedItems) -> LimitValues | None:
    """The same for a batch that exists already: it keeps its limits, whatever this command says.

    Raises:
        InputError: the items have no such name any more.
        RedisError: the server cannot be reached, or refuses.
    """
    state = ledger.state(batch)
    name = state.get("limit_by") or state.get("task_limit_by")
    return LimitValues(items.task, name, items.fixed, items.parameter) if name else None
