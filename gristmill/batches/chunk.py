"""A chunk, the range of a batch's items that one message carries, and the work that it stands for."""

from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True, slots=True)
class Chunk:
    """The items `first` to `first + count - 1` of a batch, which one message carries."""

    batch: str
    epoch: int
    first: int
    count: int

    @property
    def member(self) -> str:
        """The chunk's name in the batch's window: `first:count`."""
        return f"{self.first}:{self.count}"

    @property
    def message_id(self) -> str:
        """The Celery task id of the chunk's message; `hand_out` in cut_chunks.lua builds the same text."""
        return f"{self.batch}:{self.epoch}:{self.first}+{self.count}"


@dataclass(slots=True)
class Item:
    """One input that has no outcome yet; `attempt` counts from 1, `value` is the input's JSON value.

    The item had `before` attempts before `retry` last released it again: they use up none of its retries.
    """

    index: int
    value: Any
    attempt: int
    before: int = 0


@dataclass(frozen=True, slots=True)
class Work:
    """The work of a chunk when it starts: the task, and the items that have no outcome yet.

    `fixed` holds the arguments that all items share (JSON values by name). `parameter` names the argument that an
    item fills, unless the item is an object of arguments itself. A failed item runs again up to `retries` times, at
    first after `retry_seconds` seconds. `rest` counts the chunk's last items that `items` leaves out, because the
    chunk would have too many bytes with them.
    """

    task: str
    fixed: dict[str, Any]
    parameter: str
    retries: int
    retry_seconds: float
    items: list[Item]
    rest: int = 0


@dataclass(slots=True)
class Outcome:
    """How one attempt of an item ended.

    `state` is `s` (succeeded), `f` (failed), `d` (dead), or the milliseconds until the next attempt. `text` is JSON:
    `[state, value or error, attempts, seconds, worker, pid]`, where `attempts` is `attempt`. The attempt ran for
    `seconds` seconds.
    """

    index: int
    state: str
    attempt: int
    text: str
    seconds: float = 0.0
