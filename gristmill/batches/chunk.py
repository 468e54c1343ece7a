"""A chunk, the range of a batch's items that one message carries, and the work that it stands for."""

from dataclasses import dataclass, field
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
        """The chunk's name among those in flight, `first:count`; `chunk_of` in in_flight.lua builds the same text."""
        return f"{self.first}:{self.count}"

    @property
    def fields(self) -> dict[str, Any]:
        """The fields by name, as the scripts take them."""
        return {"batch": self.batch, "epoch": self.epoch, "first": self.first, "count": self.count}

    @property
    def message_id(self) -> str:
        """The Celery task id of the chunk's message; `message_id` in release.lua builds the same text."""
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

    @classmethod
    def of(cls, index: int, value: Any, attempts: str | None) -> "Item":
        """The item for its next attempt; `attempts` is the text of attempts.lua about those so far."""
        attempts_so_far, before = attempts_of(attempts)
        return cls(index, value, 1 + attempts_so_far, before)


@dataclass(frozen=True, slots=True)
class Work:
    """The work of a chunk when it starts: the task, and the items that have no outcome yet.

    `fixed` holds the arguments that all items share (JSON values by name). `parameter` names the argument that an
    item fills, unless the item is an object of arguments itself. A failed item runs again up to `retries` times, at
    first after `retry_seconds` seconds. `rest` counts the chunk's last items that `items` leaves out, because the
    chunk would have too many bytes with them. `keep_logs` says of which items the server keeps what they wrote:
    `failed`, `all` or `none`. An item may allocate `memory` bytes; 0: as many as its slot may. It may run for
    `time_limit` seconds, 0 for no limit; None: as its task says.
    All that it writes goes into a file below `output_dir`, a path below the data root; empty: it does not. `halt` is
    what ends the batch early, as text of halt.py; empty: nothing.
    The items of a batch `from_batch` are values of another one, as they were returned. With `limit_by`, a slot tells by
    which values of that name the items are limited, in place of running them.
    `out_of_memory` has those of the items that have failed because they had no more.
    """

    chunk: Chunk
    task: str
    fixed: dict[str, Any]
    parameter: str
    retries: int
    retry_seconds: float
    items: list[Item]
    rest: int = 0
    keep_logs: str = "failed"
    memory: int = 0
    time_limit: float | None = None
    output_dir: str = ""
    halt: str = ""
    from_batch: bool = False
    limit_by: str = ""
    out_of_memory: list[Item] = field(default_factory=list)


@dataclass(slots=True)
class Outcome:
    """How one attempt of an item ended.

    `state` is `succeeded`, `failed` or `dead`. `text` is the task's value as JSON, or the error, with `type`, `message`
    and `traceback`. The attempt ran for `seconds` seconds, on `worker` (a node name), in the process `pid`. `retry_ms`
    is how many milliseconds later the item's next attempt is due; None when this attempt ends the item. `log` is
    the end of what the item wrote; None when that is not to be kept.
    """

    index: int
    state: str
    attempt: int
    text: str
    seconds: float = 0.0
    worker: str = ""
    pid: int = 0
    retry_ms: int | None = None
    log: str | None = None


def attempts_of(text: str | None) -> tuple[int, int]:
    """How often an item has failed, and how often before `retry` last released it, from the text of attempts.lua."""
    attempts, _, before = (text or "0").partition("/")
    return int(attempts), int(before or 0)
