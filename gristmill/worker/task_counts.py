"""Counts the plain Celery tasks that the worker runs; the ledger counts the items of batches itself."""

import threading
from collections import Counter
from collections.abc import Iterable

from celery.exceptions import Ignore, Reject, Retry

from gristmill.batches.histogram import bucket

_lock = threading.Lock()
_counts: Counter[tuple[str, str, str]] = Counter()


def count(queue: str, task: str, error: BaseException | str | None, seconds: float | None) -> None:
    """Count a plain Celery task that has ended, and did not go back to its queue; it ran for `seconds`, if known."""
    if isinstance(error, Ignore | Reject | Retry):
        return
    with _lock:
        _counts[queue, task, "f" if error else "s"] += 1
        if seconds is not None:
            _counts[queue, task, "b"] += round(seconds * 1000)
            _counts[queue, task, f"R{bucket(seconds)}"] += 1


def collect() -> list[tuple[str, str, str, int]]:
    """The counts since the last call: queue, task, field (see `TaskCount.take`), number."""
    with _lock:
        counts = [(*key, number) for key, number in _counts.items()]
        _counts.clear()
    return counts


def put_back(counts: Iterable[tuple[str, str, str, int]]) -> None:
    """Keep for the next `collect` what it answered, when the server did not get it."""
    with _lock:
        for *key, number in counts:
            _counts[tuple(key)] += number  # type: ignore[index]
