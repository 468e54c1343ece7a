"""A worker of a queue, as a word says it: `cpu`, `gpu=4`, `mail:io=200`."""

import re
from typing import NamedTuple, Self

from gristmill.config.host import cores
from gristmill.config.names import checked_queue, worker_word
from gristmill.config.settings import settings
from gristmill.errors import InputError, invalid_value
from gristmill.tasks.kind import Kind, kind_of

#: Most slots of a worker.
SLOTS_MOST = {Kind.CPU: 1024, Kind.IO: 4096}
_WORD = re.compile(r"(?P<queue>[^:=]*)(:(?P<kind>[^:=]*))?(=(?P<slots>[^:=]*))?")


class QueueWorker(NamedTuple):
    """A worker to start: the queue that it takes work from, the kind that decides its pool, its slots.

    0 slots are as many as the settings give a worker of its kind.
    """

    queue: str
    kind: Kind
    slots: int = 0

    @classmethod
    def of(cls, word: str) -> Self:
        """The worker that `QUEUE[:KIND][=SLOTS]` names.

        A queue has the kind of the tasks of this process that name it; `:KIND` says it where no task does. Without
        either, the kind is `cpu`, whose processes run any task.

        Raises:
            InputError: the word is not valid, or its kind is not that of the queue's tasks.
        """
        parts = _WORD.fullmatch(word)
        if parts is None:
            raise InputError(invalid_value("worker", word, "QUEUE, QUEUE=SLOTS or QUEUE:KIND=SLOTS, such as gpu=4"))
        queue = checked_queue(parts["queue"])
        kind = _kind(queue, parts["kind"])
        return cls(queue, kind, 0 if parts["slots"] is None else _slots(queue, parts["slots"], SLOTS_MOST[kind]))

    @property
    def word(self) -> str:
        """The word without the slots."""
        return worker_word(self.queue, str(self.kind))


def slots_of(kind: Kind) -> int:
    """The number of slots that the settings give a worker of this kind."""
    return settings().io_slots if kind is Kind.IO else settings().cpu_slots or cores()


def _kind(queue: str, text: str | None) -> Kind:
    tasks = kind_of(queue)
    if text is None:
        return tasks or Kind.CPU
    if text not in [str(kind) for kind in Kind]:
        raise InputError(invalid_value(f"kind of queue {queue}", text, "cpu or io"))
    if tasks not in (None, Kind(text)):
        raise InputError(invalid_value(f"kind of queue {queue}", text, f"{tasks}, the kind of its tasks"))
    return Kind(text)


def _slots(queue: str, text: str, most: int) -> int:
    if not (text.isascii() and text.isdigit() and len(text) < 6 and 1 <= int(text) <= most):
        raise InputError(invalid_value(f"slots of queue {queue}", text, f"an integer from 1 to {most:,}"))
    return int(text)
