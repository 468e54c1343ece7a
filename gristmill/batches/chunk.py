"""A chunk: the range of a batch's items that travels in one message; and the work it stands for."""

from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True, slots=True)
class Chunk:
    """The items `first` to `first + count - 1` of a batch, as one message carries them."""

    batch: str
    epoch: int
    first: int
    count: int

    @property
    def member(self) -> str:
        """Its name in the batch's window."""
        return f"{self.first}:{self.count}"

    @property
    def message_id(self) -> str:
        """The id of its message, as a task of Celery; as in ledger.lua."""
        return f"{self.batch}:{self.epoch}:{self.first}+{self.count}"


@dataclass(slots=True)
class Item:
    """One input that has no outcome yet; `attempt` counts from 1, `value` is its JSON value.

    `before` attempts were made before it was last given back by `retry`: they use up none of its retries.
    """

    index: int
    value: Any
    attempt: int
    before: int = 0


@dataclass(frozen=True, slots=True)
class Work:
    """What a chunk stands for when it begins: the task, and the items that have no outcome yet.

    `fixed` are the arguments that all items share (JSON values by name); `parameter` is the name of the
    argument that an item gives when it is not an object of arguments itself; `retries` is how often a failed
    item is tried again, `retry_seconds` the wait before the first time. `rest` of the chunk's last items are not among
    them: with them it would have too many bytes.
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

    `state` is `s` (succeeded), `f` (failed), `d` (dead), or the milliseconds until the next attempt; `text` is JSON:
    `[state, value or error, attempts, seconds, worker, pid]`, with `attempt` as its attempts. `seconds` is how long it
    ran.
    """

    index: int
    state: str
    attempt: int
    text: str
    seconds: float = 0.0
