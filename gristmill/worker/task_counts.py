"""Counts the plain Celery tasks that the worker runs; the ledger counts the items of batches itself."""

from collections import Counter, deque
from collections.abc import Iterable

from celery.exceptions import Ignore, Reject, Retry

from gristmill.batches.histogram import bucket

#: Those that have ended since the last call of `collect`: queue, task, whether it failed, seconds if known. There is no
#: lock: a thread that loses the GIL while it has one holds up all others.
_ended: deque[tuple[str, str, bool, float | None]] = deque()
_counts: Counter[tuple[str, str, str]] = Counter()


def count(queue: str, task: str, error: BaseException | str | None, seconds: float | None) -> None:
    """Count a plain Celery task that has ended, and did not go back to its queue; it ran for `seconds`, if known."""
    if not isinstance(error, Ignore | Reject | Retry):
        _ended.append((queue, task, bool(error), seconds))


def collect() -> list[tuple[str, str, str, int]]:
    """The counts since the last call: queue, task, field (see `TaskCount.take`), number. For one thread."""
    for _ in range(len(_ended)):
        queue, task, failed, seconds = _ended.popleft()
        _counts[queue, task, "f" if failed else "s"] += 1
        if seconds is not None:
            _counts[queue, task, "b"] += round(seconds * 1000)
            _counts[queue, task, f"R{bucket(seconds)}"] += 1
    counts = [(*key, number) for key, number in _counts.items()]
    _counts.clear()
    return counts


def put_back(counts: Iterable[tuple[str, str, str, int]]) -> None:
    """Keep for the next `collect` what it answered, when the server did not get it. For the same thread."""
    for *key, number in counts:
        _counts[tuple(key)] += number  # type: ignore[index]
