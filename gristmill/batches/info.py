"""What a batch looks like from outside: its state and its counters."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from enum import StrEnum
from typing import Any


class State(StrEnum):
    """The state of a batch."""

    #: Its producer has not said that the input has ended.
    SUBMITTING = "submitting"
    #: All items are stored, some have no outcome.
    RUNNING = "running"
    #: Nothing more is handed out until it is resumed.
    PAUSED = "paused"
    #: Every item succeeded.
    SUCCEEDED = "succeeded"
    #: Every item has an outcome, and some failed or are dead.
    FAILED = "failed"
    #: It was cancelled, and nothing of it runs any more.
    CANCELLED = "cancelled"


#: The states of a batch to which nothing more happens.
ENDED = frozenset({State.SUCCEEDED, State.FAILED, State.CANCELLED})


@dataclass(frozen=True, slots=True)
class BatchInfo:
    """A batch's counters at one moment: submitted = succeeded + failed + cancelled + dead + left, always.

    `rejected` items were bad and never submitted; `duplicates` counts runs beyond the recorded one; `consumed`
    results of succeeded items were read and removed; `created` and `finished` are Unix times in seconds; `reason` says
    why it was cancelled, or is being cancelled.
    """

    name: str
    task: str
    state: State
    submitted: int
    succeeded: int
    failed: int
    cancelled: int
    dead: int
    left: int
    duplicates: int
    rejected: int
    submitted_by: str
    created: float
    queue: str
    finished: float | None
    reason: str | None
    consumed: int = 0

    @classmethod
    def from_fields(cls, name: str, fields: Mapping[str, str]) -> "BatchInfo":
        """Build it from the fields of the batch's state."""
        submitted, succeeded, failed, cancelled, dead, duplicates, rejected = (
            int(fields.get(field, 0))
            for field in ("stored", "succeeded", "failed", "cancelled", "dead", "duplicates", "rejected")
        )
        finished = fields.get("finished")
        state = _state(fields, failed + dead, cancelled)
        stops = "cancelling" in fields or state is State.CANCELLED
        return cls(
            name=name,
            task=fields["task"],
            state=state,
            submitted=submitted,
            succeeded=succeeded,
            failed=failed,
            cancelled=cancelled,
            dead=dead,
            left=submitted - succeeded - failed - cancelled - dead,
            duplicates=duplicates,
            rejected=rejected,
            submitted_by=fields["submitted_by"],
            created=int(fields["created"]) / 1000,
            queue=fields["queue"],
            finished=int(finished) / 1000 if finished else None,
            reason=fields.get("reason") if stops else None,
            consumed=int(fields.get("consumed", 0)),
        )

    @property
    def done(self) -> int:
        """Items that have an outcome."""
        return self.submitted - self.left

    @property
    def exit_code(self) -> int:
        """0, or 1 when an item failed, is dead or was cancelled, or the batch before all were stored."""
        return 1 if self.failed or self.dead or self.state is State.CANCELLED or self.cancelled else 0

    def as_dict(self) -> dict[str, Any]:
        """The documented fields, as `batches --json` prints them."""
        names = "name task state submitted succeeded failed cancelled dead left duplicates rejected submitted_by"
        fields = {field: getattr(self, field) for field in names.split()}
        created = datetime.fromtimestamp(self.created, UTC).isoformat(timespec="seconds")
        return {**fields, "created": created, "reason": self.reason}


def _state(fields: Mapping[str, str], bad: int, cancelled: int) -> State:
    if "finished" in fields:
        # One that was cancelled before all its items were stored has not done its work, even if all of them are done.
        return State.CANCELLED if cancelled or "cut" in fields else State.FAILED if bad else State.SUCCEEDED
    if "paused" in fields:
        return State.PAUSED
    return State.RUNNING if "ended" in fields else State.SUBMITTING
