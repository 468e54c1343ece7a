"""Counts the plain Celery tasks that the worker runs; the ledger counts the items of batches itself."""

from collections import Counter, deque
from collections.abc import Iterable

from celery.exceptions import Ignore, Reject, Retry

from gristmill.batches.histogram import bucket


class TaskCounts:
    """What has ended since the last call of `collect`; nothing before `begin`, as nobody may ever collect.

    Any thread counts, without a lock: one that loses the GIL while it has a lock holds up all others. One collects.
    """

    def __init__(self) -> None:
        self._are_collected = False
        #: Queue, task, whether it failed, seconds if known.
        self._ended: deque[tuple[str, str, bool, float | None]] = deque()
        self._counts: Counter[tuple[str, str, str]] = Counter()

    def begin(self) -> None:
        """Count from now on: somebody will collect."""
        self._are_collected = True

    def count(self, queue: str, task: str, error: BaseException | str | None, seconds: float | None) -> None:
        """Count a task that has ended, and did not go back to its queue; it ran for `seconds`, if known."""
        if self._are_collected and not isinstance(error, Ignore | Reject | Retry):
            self._ended.append((queue, task, bool(error), seconds))

    def collect(self) -> list[tuple[str, str, str, int]]:
        """The counts since the last call: queue, task, field (see `TaskCount.take`), number."""
        for _ in range(len(self._ended)):
            queue, task, failed, seconds = self._ended.popleft()
            self._counts[queue, task, "f" if failed else "s"] += 1
            if seconds is not None:
                self._counts[queue, task, "b"] += round(seconds * 1000)
                self._counts[queue, task, f"R{bucket(seconds)}"] += 1
        counts = [(*key, number) for key, number in self._counts.items()]
        self._counts.clear()
        return counts

    def put_back(self, counts: Iterable[tuple[str, str, str, int]]) -> None:
        """Keep for the next `collect` what it answered, when the server did not get it."""
        for queue, task, field, number in counts:
            self._counts[queue, task, field] += number


#: Those of this process.
task_counts = TaskCounts()
