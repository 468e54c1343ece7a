"""The state and the counters of a batch, as a caller sees them."""

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any
from urllib.parse import urlsplit

from gristmill.config.figures import local_moment, moment
from gristmill.config.settings import variable


class State(StrEnum):
    """The state of a batch."""

    #: Producers append to it, until somebody closes it.
    OPEN = "open"
    #: The producer has not reached the end of the input.
    SUBMITTING = "submitting"
    #: Its producer is gone, before the end of the input: the same command goes on.
    ABANDONED = "abandoned"
    #: It begins at a time of its own.
    SCHEDULED = "scheduled"
    #: Its items are stored, and it begins when the batches have ended that it was submitted after.
    WAITING = "waiting"
    #: All items are stored, and some have no outcome.
    RUNNING = "running"
    #: Workers get no more items until somebody resumes the batch.
    PAUSED = "paused"
    #: Every item succeeded.
    SUCCEEDED = "succeeded"
    #: Every item has an outcome, and some failed or are dead.
    FAILED = "failed"
    #: Somebody or `--halt` cancelled it, and none of its items runs any more.
    CANCELLED = "cancelled"


#: The fields of a batch's state on the server that its info is made of.
STATE_FIELDS = (
    *("task", "stored", "succeeded", "failed", "cancelled", "dead", "duplicates", "rejected", "consumed"),
    *("submitted_by", "created", "queue", "finished", "reason", "cancelling", "paused", "input_ended", "input_cut"),
    *("producer_until", "kind", "logs_lost", "retries", "time_limit", "halt", "success_halt"),
    *("max_running", "rate", "limit_by", "held_by", "task_max_running", "task_rate", "task_limit_by"),
    *("open", "scheduled_at", "schedule", "labels"),
    *("after", "waiting", "unmet", "superseded", "from_batch", "notify", "notice"),
    *("measured_seconds", "measured_items", "is_async"),
)

#: The fields of a batch's info that are documented, in their order, and those of them that are times.
_DOCUMENTED = (
    *("name", "task", "queue", "state", "submitted", "succeeded", "failed", "cancelled", "dead", "left", "duplicates"),
    *("rejected", "submitted_by", "created", "finished", "reason", "abandoned_at", "logs_lost", "retries"),
    *("time_limit", "max_running", "rate", "limit_by", "halt", "held_by", "scheduled_at", "schedule", "labels"),
    *("after", "from_batch", "superseded", "notify", "notice"),
)
_TIMES = ("created", "finished", "abandoned_at", "scheduled_at")

#: Milliseconds without a sign of life, beyond its lease, after which a producer counts as gone. One that waits for its
#: input, or for room on the server, still sends signs of life.
GONE_MS = 10_000

#: The states of a batch that may get more items.
OPEN = frozenset({State.OPEN, State.SUBMITTING, State.ABANDONED})
#: The states of a batch that hands out nothing, until a time or somebody says so.
ON_HOLD = frozenset({State.PAUSED, State.SCHEDULED})
#: The states of a batch that has ended.
ENDED = frozenset({State.SUCCEEDED, State.FAILED, State.CANCELLED})


@dataclass(frozen=True, slots=True)
class BatchInfo:
    """A batch's counters at one moment: submitted = succeeded + failed + cancelled + dead + left, always.

    `rejected` counts bad inputs, which were never submitted. `duplicates` counts runs beyond the recorded one.
    `consumed` counts the results of succeeded items that a reader took and removed. `created` and `finished` are Unix
    times in seconds. `reason` says why the batch was cancelled, or is being cancelled. `abandoned_at` is when its
    producer was gone, in Unix time too; None unless the producer is gone. `kind` is that of the task, `cpu` or `io`,
    or empty where the batch does not say. `logs_lost` counts the outputs of items that the server did not keep, because
    those of the batch had reached GRISTMILL_BATCH_LOG_BYTES. An item has `retries` more attempts when it fails, and
    each may take `time_limit` seconds, 0 for no limit; None: as its task says. `halt` is what ends the batch early, and
    `success_halt` whether it has, because enough of its items succeeded. At most `max_running` items run at once, a
    number, or text such as `50%` or `+2`, and so many are handed out in a time as `rate` says (`10/s`). `held_by` is
    the limit that keeps more items from being handed out: `max_running`, `rate`, `task_max_running`, `task_rate`, or
    `batch` and the name of one that takes its values and has enough of them; else None. `hold` says the same in words,
    or is empty. With `limit_by`, its limits hold for each value of that name. `scheduled_at` is when a `scheduled`
    batch begins, in Unix time, and `schedule` the name of the schedule that made the batch, or None. `labels` are those
    with which it was submitted. `after` has the batches for whose end this one waits, or waited: `pages` where all its
    items have to succeed, else `pages:ended`. The values of `from_batch` are its items, and `taking` says whether more
    will come. Those of `superseded` had items that ran again after this batch had taken their end. `notify` is the
    scheme and the host of the URL that is told its end, or None, and `notice` what was told last: its `id`, `event`,
    `state` (`pending`, `delivered` or `failed`), `tries`, `at`, when it came to that, and the last `error`. `mean` is
    how long its items took, in seconds, the latest counting most; None before the first has ended. `is_async` says that
    a slot runs several of its items at once.
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
    abandoned_at: float | None = None
    kind: str = ""
    logs_lost: int = 0
    retries: int = 0
    time_limit: float | None = None
    halt: str | None = None
    success_halt: bool = False
    max_running: int | str | None = None
    rate: str | None = None
    limit_by: str | None = None
    held_by: str | None = None
    scheduled_at: float | None = None
    schedule: str | None = None
    labels: Mapping[str, str] = field(default_factory=dict, hash=False)
    hold: str = ""
    after: tuple[str, ...] = ()
    from_batch: str | None = None
    taking: bool = False
    superseded: tuple[str, ...] = ()
    notify: str | None = None
    notice: Mapping[str, Any] | None = field(default=None, hash=False)
    mean: float | None = None
    is_async: bool = False

    @classmethod
    def from_fields(cls, name: str, fields: Mapping[str, str], gone_before: int = 0) -> "BatchInfo":
        """Build the info from the fields of the batch's state on the server.

        A producer whose lease ended before `gone_before` is gone (the server's time in ms).
        """
        submitted, succeeded, failed, cancelled, dead, duplicates, rejected = (
            int(fields.get(field, 0))
            for field in ("stored", "succeeded", "failed", "cancelled", "dead", "duplicates", "rejected")
        )
        finished = fields.get("finished")
        abandoned_at = _abandoned_at(fields, gone_before)
        state = _state(fields, failed + dead, cancelled, abandoned_at is not None)
        stops = "cancelling" in fields or state is State.CANCELLED
        reason = fields.get("reason") if stops else fields.get("unmet") if "waiting" in fields else None
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
            reason=reason,
            consumed=int(fields.get("consumed", 0)),
            abandoned_at=abandoned_at,
            kind=fields.get("kind", ""),
            logs_lost=int(fields.get("logs_lost", 0)),
            retries=int(fields.get("retries", 0)),
            time_limit=None if "time_limit" not in fields else float(fields["time_limit"]),
            halt=fields.get("halt"),
            success_halt="success_halt" in fields,
            max_running=_number(fields.get("max_running")),
            rate=fields.get("rate"),
            limit_by=fields.get("limit_by"),
            held_by=None if stops or state in ENDED | ON_HOLD else fields.get("held_by"),
            scheduled_at=int(fields["scheduled_at"]) / 1000 if state is State.SCHEDULED else None,
            schedule=fields.get("schedule"),
            labels=json.loads(fields["labels"]) if "labels" in fields else {},
            hold=_hold(fields),
            after=tuple(fields.get("after", "").split()),
            from_batch=fields.get("from_batch"),
            taking="from_batch" in fields and "input_ended" not in fields,
            superseded=tuple(fields.get("superseded", "").split()),
            notify=origin(fields["notify"]) if "notify" in fields else None,
            notice=_notice(fields),
            mean=_mean(fields),
            is_async="is_async" in fields,
        )

    @property
    def done(self) -> int:
        """Items that have an outcome."""
        return self.submitted - self.left

    @property
    def exit_code(self) -> int:
        """0, or 1: an item failed, is dead or was cancelled, or the batch was cancelled before its input ended.

        0 also for a batch that has had as many successes as its `--halt` asks for.
        """
        if self.success_halt:
            return 0
        return 1 if self.failed or self.dead or self.state is State.CANCELLED or self.cancelled else 0

    def lost_logs(self) -> str:
        """How many outputs of items the server did not keep, and why; empty when that is none."""
        if not self.logs_lost:
            return ""
        return f"output of {self.logs_lost:,} runs not kept: the batch's has reached {variable('batch_log_bytes')}"

    def abandonment(self) -> str:
        """At which item the batch's producer stopped, since when (local time), and what to do; empty while it lives."""
        if self.abandoned_at is None:
            return ""
        since = local_moment(self.abandoned_at)
        return f"abandoned at item {self.submitted:,} since {since}: the same command goes on"

    def supersession(self) -> str:
        """Which batches ran items again after this one had taken their end, and what follows; empty for none."""
        if not self.superseded:
            return ""
        return f"took the first end of {', '.join(self.superseded)}, whose items ran again after that"

    def as_dict(self) -> dict[str, Any]:
        """The documented fields, as `batches --json` prints them."""
        fields = {name: getattr(self, name) for name in _DOCUMENTED}
        times = {name: None if fields[name] is None else moment(fields[name]) for name in _TIMES}
        links = {"after": list(self.after), "superseded": list(self.superseded)}
        notice = self.notice and {**self.notice, "at": moment(self.notice["at"])}
        return {**fields, **times, **links, "labels": dict(self.labels), "notice": notice}


def _hold(fields: Mapping[str, str]) -> str:
    """What holds a batch, in words: `--rate 10/s for each host`, `its task's max_running 4`, or `batch pages`."""
    limit = fields.get("held_by", "")
    if limit.startswith("batch "):
        return limit
    name = limit.removeprefix("task_")
    limit_by = fields.get("task_limit_by" if name != limit else "limit_by")
    words = f"its task's {name}" if name != limit else f"--{name.replace('_', '-')}"
    return f"{words} {fields.get(limit, '')}{f' for each {limit_by}' if limit_by else ''}" if limit else ""


def _mean(fields: Mapping[str, str]) -> float | None:
    items = float(fields.get("measured_items", 0))
    return float(fields.get("measured_seconds", 0)) / items if items else None


def _notice(fields: Mapping[str, str]) -> dict[str, Any] | None:
    if "notice" not in fields:
        return None
    notice = json.loads(fields["notice"])
    return {**notice, "at": notice["at"] / 1000, "error": notice.get("error")}


def origin(url: str) -> str:
    """The scheme and the host of a URL, which may be shown: the rest may hold a secret."""
    parts = urlsplit(url)
    return f"{parts.scheme}://{parts.netloc.rpartition('@')[2]}"


def _number(text: str | None) -> int | str | None:
    return int(text) if text and text.isdigit() else text


def _abandoned_at(fields: Mapping[str, str], gone_before: int) -> float | None:
    """When the batch's producer was gone (Unix time in seconds); None while it lives, or when all items are stored."""
    until = int(fields.get("producer_until", 0))
    if "input_ended" in fields or not until or until >= gone_before:
        return None
    return until / 1000


def _state(fields: Mapping[str, str], bad: int, cancelled: int, abandoned: bool) -> State:
    if "finished" in fields:
        # A batch that was cancelled before its input ended has not done its work, whatever its stored items did.
        return State.CANCELLED if cancelled or "input_cut" in fields else State.FAILED if bad else State.SUCCEEDED
    if "paused" in fields:
        return State.SCHEDULED if "scheduled_at" in fields else State.PAUSED
    if "input_ended" in fields or "from_batch" in fields:
        return State.WAITING if "waiting" in fields else State.RUNNING
    if "open" in fields:
        return State.OPEN
    return State.ABANDONED if abandoned else State.SUBMITTING
