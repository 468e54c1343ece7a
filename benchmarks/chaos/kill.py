"""A fault that counts, and how long it took until others had begun what it left behind."""

from collections.abc import Mapping, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass
from math import inf

from benchmarks.chaos.journal import Beginning, Journal


@dataclass(frozen=True, slots=True)
class Kill:
    """One fault: when, what it left behind, and who had that.

    `at` is in seconds of the host's monotonic clock. `worker` and `pid` are whose beginnings do not count as coming
    back; None: everybody's do.
    """

    at: float
    tasks: frozenset[int]
    worker: str | None = None
    pid: int | None = None

    def seconds(self, journal: Journal, passed_on: Mapping[int, float]) -> float | None:
        """Seconds until the last of what was held had begun again; None when nothing of it had to, or has.

        `passed_on` says when the next holder of a task was hit: one that had not begun by then is that fault's.
        """
        back = {task: self._back(journal.beginnings.get(task, ())) for task in self.tasks}
        waits = [at - self.at for task, at in back.items() if at is not None and at <= passed_on.get(task, inf)]
        return max(waits, default=None)

    def open(self, journal: Journal, dead: AbstractSet[int]) -> set[int]:
        """What was held, has not begun again, and was neither done nor given up on."""
        return {
            task
            for task in self.tasks - dead
            if task not in journal.done and self._back(journal.beginnings.get(task, ())) is None
        }

    def _back(self, beginnings: "list[Beginning] | tuple[()]") -> float | None:
        return next((one.at for one in beginnings if one.at > self.at and not self._victim(one)), None)

    def _victim(self, one: Beginning) -> bool:
        return one.worker == self.worker and self.pid in (None, one.pid)


def recoveries(kills: Sequence[Kill], journal: Journal) -> list[float]:
    """The seconds of each kill that left something behind, in their order."""
    passed_on: dict[int, float] = {}
    seconds_back = []
    for kill in reversed(kills):
        seconds = kill.seconds(journal, passed_on)
        passed_on.update(dict.fromkeys(kill.tasks, kill.at))
        if seconds is not None:
            seconds_back.append(seconds)
    return seconds_back[::-1]
