"""A fault that counts, and how long it took until others had begun what it left behind."""

from collections.abc import Set as AbstractSet
from dataclasses import dataclass

from benchmarks.chaos.journal import Beginning, Journal


@dataclass(frozen=True, slots=True)
class Kill:
    """One fault: when, what it left behind, and who had that.

    `at` is in seconds of the host's monotonic clock. `worker` and `pid` are whose beginnings do not count as coming
    back; None: everybody's do.
    """

    at: float
    held: frozenset[int]
    worker: str | None = None
    pid: int | None = None

    def seconds(self, journal: Journal) -> float | None:
        """Seconds until the last of what was held had begun again; None when nothing of it had to, or has."""
        back = [self._back(journal.begun.get(task, ())) for task in self.held]
        seen = [at - self.at for at in back if at is not None]
        return max(seen, default=None)

    def open(self, journal: Journal, dead: AbstractSet[int]) -> set[int]:
        """What was held, has not begun again, and was neither done nor given up on."""
        return {
            task
            for task in self.held - dead
            if task not in journal.done and self._back(journal.begun.get(task, ())) is None
        }

    def _back(self, beginnings: "list[Beginning] | tuple[()]") -> float | None:
        return next((one.at for one in beginnings if one.at > self.at and not self._victim(one)), None)

    def _victim(self, one: Beginning) -> bool:
        return one.worker == self.worker and self.pid in (None, one.pid)
