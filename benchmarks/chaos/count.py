"""The count at the end of a run: what became of every task."""

import statistics
import time
from dataclasses import asdict, dataclass, field
from typing import Any

from benchmarks.chaos.kill import recoveries
from benchmarks.chaos.run import Run


@dataclass(slots=True)
class Count:
    """One run, counted. `lost`: neither done, nor given up on, nor still on the server; `left`: still there.

    `duplicates` are runs to the end beyond each task's first, `redelivered` are beginnings beyond it. `recoveries`
    are the seconds from each kill until all that its victim held had begun elsewhere; `not_back` is what was held in
    a kill and has neither begun again nor ended. `seconds` is how long the run took.
    """

    scenario: str
    pool: str
    transport: str
    seed: int
    kills: int = 0
    submitted: int = 0
    done: int = 0
    lost: int = 0
    left: int = 0
    dead: int = 0
    duplicates: int = 0
    redelivered: int = 0
    not_back: int = 0
    recoveries: list[float] = field(default_factory=list)
    seconds: float = 0.0
    #: How often each kind of fault struck, and the fewest calls that one left unanswered, where a scenario counts them.
    faults: dict[str, int] = field(default_factory=dict)
    unanswered: int | None = None
    #: What was promised and did not hold; empty when all is well.
    broken: list[str] = field(default_factory=list)

    @property
    def median(self) -> float | None:
        """Of the recoveries."""
        return statistics.median(self.recoveries) if self.recoveries else None

    @property
    def worst(self) -> float | None:
        """Of the recoveries."""
        return max(self.recoveries, default=None)

    def as_dict(self) -> dict[str, Any]:
        """For JSON: all fields, with the median and the worst recovery."""
        return {**asdict(self), "median": self.median, "worst": self.worst}


def tally(run: Run, count: Count, started_at: float) -> None:
    """Fill in what became of the tasks of a run that began at `begun`, once nothing of it goes on."""
    run.journal.read()
    done, dead, standing = set(run.journal.done), run.wire.dead(), run.wire.standing()
    missing = set(range(run.submitted)) - done - dead
    count.submitted, count.done, count.dead = run.submitted, len(done), len(dead)
    count.left = len(missing & standing)
    count.lost = len(missing - standing)
    account(run, count, started_at)


def account(run: Run, count: Count, started_at: float) -> None:
    """Fill in what the journal says."""
    count.kills = len(run.kills)
    count.duplicates, count.redelivered = run.journal.done_again, run.journal.begun_again
    dead = run.wire.dead()
    count.not_back = len(set().union(*(kill.open(run.journal, dead) for kill in run.kills)))
    count.recoveries = [round(each, 2) for each in recoveries(run.kills, run.journal)]
    count.seconds = round(time.monotonic() - started_at, 1)
