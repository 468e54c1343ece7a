"""The kinds of tasks, and the kind of each queue."""

from enum import StrEnum


class Kind(StrEnum):
    """What a task spends its time on; the name of its queue, unless the task names another."""

    #: Computes: runs on `prefork` workers, one process per core.
    CPU = "cpu"
    #: Waits: runs on `threads` workers.
    IO = "io"

    @property
    def pool(self) -> str:
        """Celery's name of the pool that suits the kind."""
        return "prefork" if self is Kind.CPU else "threads"

    @property
    def other(self) -> "Kind":
        """The kind that is not this one."""
        return Kind.IO if self is Kind.CPU else Kind.CPU


#: The kind of each queue: of those that the kinds name, and of those that tasks of this process name.
_of_queues = {str(kind): kind for kind in Kind}


def kind_of(queue: str) -> Kind | None:
    """The kind of the tasks that name a queue, as far as their modules are imported; None if no task names it."""
    return _of_queues.get(queue)


def settle_kind(queue: str, kind: Kind) -> Kind:
    """Let a queue have tasks of a kind, unless others have it; the kind of its tasks."""
    return _of_queues.setdefault(queue, kind)
