"""Outcomes in the form that the ledger stores: neighbours that ended alike, as a header and a line for each value."""

from collections.abc import Iterable, Iterator, Sequence
from itertools import islice
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


def groups(outcomes: Iterable[Outcome]) -> list[Any]:
    """The outcomes, by index, as the argument `groups` of record.lua."""
    flat: list[Any] = []
    left = list(outcomes)
    begin = 0
    while begin < len(left):
        end = _end_of_group(left, begin)
        flat += _group(left[begin:end])
        begin = end
    return flat


def _end_of_group(outcomes: Sequence[Outcome], begin: int) -> int:
    """The place behind the outcome at `begin` and the neighbours of its item that ended alike, in one process."""
    like = outcomes[begin]
    if like.retry_ms is not None or type(like.text) is not str:
        # That of a value in a file has no neighbours.
        return begin + 1
    state, attempt, worker, pid = like.state, like.attempt, like.worker, like.pid
    size, after, last = len(like.text), like.index + 1, like.index - like.index % BUCKET + BUCKET
    # Every item passes here.
    for outcome in islice(outcomes, begin + 1, begin + last - like.index):
        text = outcome.text
        if (
            outcome.index != after
            or type(text) is not str
            or size > GROUP_BYTES
            or outcome.state != state
            or outcome.attempt != attempt
            or outcome.pid != pid
            or outcome.worker != worker
            or outcome.retry_ms is not None
        ):
            break
        after += 1
        size += len(text)
    return begin + after - like.index


def _group(outcomes: Sequence[Outcome]) -> tuple[Any, ...]:
    """Neighbours that ended alike, as outcomes.lua reads them."""
    like = outcomes[0]
    header = {"state": like.state, "attempts": like.attempt, "worker": like.worker, "pid": like.pid}
    if type(like.text) is FileText:
        # In the header, which is ours: no value is taken for a reference.
        header["file"] = True
    # All run times in one call: to round and write each takes four times as long.
    seconds = ("%.6f," * len(outcomes) % tuple([outcome.seconds for outcome in outcomes]))[:-1]
    text = f'{dumps(header)[:-1]}, "seconds": [{seconds}]}}'
    delay = "" if like.retry_ms is None else like.retry_ms
    values = "\n".join([outcome.text for outcome in outcomes])
    return like.index, len(outcomes), like.state, like.attempt, delay, text, values


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
