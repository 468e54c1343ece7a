"""Outcomes in the form that the ledger stores: neighbours that ended alike, as a header and a line for each value."""

from collections.abc import Iterable, Iterator
from json import dumps, loads
from typing import Any, NamedTuple, Self

from gristmill.batches.chunk import Outcome
from gristmill.batches.value_file import FileText, ValueFile
from gristmill.errors import excerpt

#: Indexes in one hash of outcomes; ledger.lua has the same number.
BUCKET = 500
#: About the size of a group's values in bytes: who reads one outcome of a group reads them all.
GROUP_BYTES = 32 << 10


class StoredOutcome(NamedTuple):
    """An outcome as the server has it: `value` is the task's value, or the reference to its file (ValueFile), or the
    error of an item that did not succeed.
    """

    state: str
    value: Any
    attempts: int
    seconds: float
    worker: str | None
    pid: int | None


class _Group:
    """Neighbours that ended alike, in one process."""

    def __init__(self, outcome: Outcome) -> None:
        self.first = outcome.index
        self.after = outcome.index + 1
        self.like = outcome
        self.seconds = [outcome.seconds]
        self.values = [outcome.text]
        self.bytes = len(outcome.text)
        #: That of a value in a file has no neighbours.
        self.kind = type(outcome.text)

    def add(self, outcome: Outcome) -> bool:
        """Add `outcome`, if it belongs to this group too."""
        like, text = self.like, outcome.text
        if (
            outcome.index != self.after
            or not type(text) is str is self.kind
            or outcome.index % BUCKET == 0
            or self.bytes > GROUP_BYTES
            or outcome.state != like.state
            or outcome.attempt != like.attempt
            or outcome.pid != like.pid
            or outcome.worker != like.worker
            or not outcome.retry_ms is like.retry_ms is None
        ):
            return False
        self.after += 1
        self.seconds.append(outcome.seconds)
        self.values.append(text)
        self.bytes += len(text)
        return True

    def arguments(self) -> tuple[Any, ...]:
        """The group as outcomes.lua reads it."""
        like = self.like
        header = {"state": like.state, "attempts": like.attempt, "worker": like.worker, "pid": like.pid}
        if self.kind is FileText:
            # In the header, which is ours: no value is taken for a reference.
            header["file"] = True
        # All run times in one call: to round and write each takes four times as long.
        seconds = ("%.6f," * len(self.seconds) % tuple(self.seconds))[:-1]
        text = f'{dumps(header)[:-1]}, "seconds": [{seconds}]}}'
        delay = "" if like.retry_ms is None else like.retry_ms
        return self.first, self.after - self.first, like.state, like.attempt, delay, text, "\n".join(self.values)


def groups(outcomes: Iterable[Outcome]) -> list[Any]:
    """The outcomes, by index, as the argument `groups` of record.lua."""
    flat: list[Any] = []
    group: _Group | None = None
    for outcome in outcomes:
        if group and group.add(outcome):
            continue
        if group:
            flat += group.arguments()
        group = _Group(outcome)
    if group:
        flat += group.arguments()
    return flat


class StoredGroup(NamedTuple):
    """Outcomes of neighbours that ended alike: what they have in common, and by place their run times and values."""

    state: str
    attempts: int
    worker: str | None
    pid: int | None
    seconds: list[float]
    values: list[Any]

    @classmethod
    def of(cls, text: str) -> Self | None:
        """The group in one field of a hash of outcomes; None where its outcomes have to be looked at one by one."""
        head, _, lines = text.partition("\n")
        header = loads(head)
        seconds = header["seconds"]
        try:
            # One call for all values: a call costs more than the decoding.
            values = loads("[" + lines.replace("\n", ",") + "]")
        except ValueError:
            return None
        if header.get("file") or len(values) != len(seconds):
            return None
        return cls(header["state"], header["attempts"], header["worker"], header["pid"], seconds, values)


def stored(text: str) -> Iterator[StoredOutcome]:
    """The outcomes in one field of a hash of outcomes, by index."""
    if group := StoredGroup.of(text):
        state, attempts, worker, pid, *lists = group
        for seconds, value in zip(*lists, strict=True):
            yield StoredOutcome(state, value, attempts, seconds, worker, pid)
        return
    head, _, lines = text.partition("\n")
    header = loads(head)
    state, attempts, worker, pid = header["state"], header["attempts"], header["worker"], header["pid"]
    for line, seconds in zip(lines.split("\n"), header["seconds"], strict=True):
        outcome = StoredOutcome(state, line, attempts, seconds, worker, pid)
        yield _in_file(outcome) if header.get("file") else _readable(outcome)


def _in_file(outcome: StoredOutcome) -> StoredOutcome:
    """An outcome whose value is a reference; a failure that says so where it is not."""
    try:
        return outcome._replace(value=ValueFile.of(loads(outcome.value)))
    except (LookupError, TypeError, ValueError) as error:
        return unreadable(outcome, f"the stored reference to a value is none: {excerpt(outcome.value)} ({error})")


def _readable(outcome: StoredOutcome) -> StoredOutcome:
    """An outcome whose value is JSON text; a failure that says so where it is not."""
    try:
        return outcome._replace(value=loads(outcome.value))
    except ValueError as error:
        what = f"the stored value of an item that {outcome.state}"
        return unreadable(outcome, f"{what} is no JSON: {excerpt(outcome.value)} ({error})")


def unreadable(outcome: StoredOutcome, message: str) -> StoredOutcome:
    """In place of an outcome that cannot be read."""
    return outcome._replace(state="failed", value=unreadable_error(message))


def unreadable_error(message: str) -> dict[str, str]:
    """The error of an outcome that cannot be read."""
    return {"type": "UnreadableOutcome", "message": message, "traceback": ""}


def event_ranges(text: str) -> Iterator[tuple[int, int, int]]:
    """The ranges in an event, each as its first index, its last one, and the attempt of these items."""
    for part in text.split(","):
        indexes, _, attempt = part.partition("@")
        first, _, last = indexes.partition("-")
        yield int(first), int(last), int(attempt or 1)


def field(first: int, after: int) -> str:
    """The name of the field that stores the outcomes of the items `first` to `after - 1` together."""
    return f"{first}:{after - first}" if after - first > 1 else str(first)


def span_of(name: str) -> tuple[int, int]:
    """The index of the first item whose outcome a field stores, and the index after the last one."""
    first, _, count = name.partition(":")
    return int(first), int(first) + int(count or 1)
