"""A result: how one item of a batch ended."""

import json
from dataclasses import dataclass, fields
from typing import Any

from gristmill.batches.outcomes import StoredOutcome


@dataclass(frozen=True, slots=True)
class Result:
    """One item's outcome. `index` counts from 0, `input` is the item, `state` is `succeeded`, `failed`, `dead`
    or `cancelled`. `error` has `type`, `message` and `traceback`. `seconds` is the run time of the last attempt. A
    cancelled item has no worker and no pid. `log` is the end of what the item wrote; None when the server keeps none.
    """

    index: int
    input: Any
    state: str
    value: Any
    error: dict[str, str] | None
    attempts: int
    seconds: float
    worker: str | None
    pid: int | None
    log: str | None = None

    @classmethod
    def from_outcome(cls, index: int, item: str, outcome: StoredOutcome, log: str | None = None) -> "Result":
        """Build the result from the stored text of an item, from its outcome and from its log."""
        state, answer, attempts, seconds, worker, pid = outcome
        value, error = (answer, None) if state == "succeeded" else (None, answer)
        return cls(index, json.loads(item), state, value, error, attempts, seconds, worker, pid, log)

    @classmethod
    def of_cancelled(cls, index: int, item: str, attempts: int) -> "Result":
        """Build the result of an item that was cancelled after `attempts` attempts."""
        return cls(index, json.loads(item), "cancelled", None, None, attempts, 0.0, None, None)

    def to_json(self) -> str:
        """The result as one line of JSON, with the fields in their documented order."""
        return _encode({name: getattr(self, name) for name in FIELDS})


#: The names of a result's fields, in their documented order.
FIELDS = tuple(field.name for field in fields(Result))
_encode = json.JSONEncoder(ensure_ascii=False, separators=(",", ":")).encode
