"""Who plays in which round: all rows in the first two, and then those that may still decide a goal."""

from collections.abc import Sequence
from dataclasses import dataclass

from benchmarks.peers.comparison import Comparison
from benchmarks.peers.goals import GOALS
from benchmarks.peers.peer import Peer
from benchmarks.peers.rows import Row

#: Rounds of all rows.
WHOLE = 2
#: How often the rows of a goal play a workload in each later round: these visits are short, and their limits narrow.
TURNS = {"cpu": 3, "wait": 3}


@dataclass(frozen=True, slots=True)
class PeerVisit:
    """A row that plays a workload once."""

    row: Row
    workload: str
    number: int
    turn: int = 0


def visits(rows: Sequence[Row], workloads: Sequence[str], number: int, comparison: Comparison) -> list[PeerVisit]:
    """Those of the round of this number, in order: the rows by turns, every other time backwards.

    The pools stand beside our batches, with which they are compared round by round.
    """
    ordered = sorted(rows, key=lambda row: isinstance(row, Peer))
    contenders = set().union(*(goal.values.contenders(comparison) for goal in GOALS))
    whole = number < WHOLE
    return [
        PeerVisit(row, workload, number, turn)
        for workload in workloads
        for turn in range(1 if whole else TURNS.get(workload, 1))
        for row in ordered[:: -1 if (number + turn) % 2 else 1]
        if row.has(workload) and (whole or (row.name, workload) in contenders)
    ]
