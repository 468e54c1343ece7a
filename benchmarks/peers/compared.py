"""What a goal compares: figures of one run, one of each round, and which rows may still decide it."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Protocol

from benchmarks.peers.catalog import PEERS
from benchmarks.peers.comparison import Comparison
from benchmarks.peers.peer import Peer
from benchmarks.peers.server import Version

Which = Callable[[Peer], bool]
Pick = Callable[[Sequence[float]], float]
#: A row and a workload.
Entry = tuple[str, str]
#: A row whose median is off the best one's by more than this factor will not be the best after more rounds either.
NEAR = 1.5


class Compared(Protocol):
    """What a goal compares."""

    def __call__(self, comparison: Comparison) -> Sequence[float]:
        """One value of each round; empty: not measured."""

    def rows(self, comparison: Comparison) -> tuple[str, ...]:
        """Which rows the values are of; empty: not measured."""

    def contenders(self, comparison: Comparison) -> set[Entry]:
        """What more rounds are of use for."""


@dataclass(frozen=True, slots=True)
class Side:
    """Peers of a kind, and the figure by which the best of them is picked."""

    which: Which
    figure: str

    def medians(self, comparison: Comparison, peers: Sequence[Peer], workload: str) -> dict[str, float]:
        """Of those among `peers` that were measured, by name."""
        medians = {peer.name: comparison.median(peer.name, workload, self.figure) for peer in peers if self.which(peer)}
        return {name: median for name, median in medians.items() if median is not None}


def best(medians: dict[str, float], pick: Pick) -> str | None:
    """Which has the best median; None: there is none."""
    return next((name for name, median in medians.items() if median == pick(list(medians.values()))), None)


@dataclass(frozen=True, slots=True)
class BestToBest:
    """A figure of our best row over one of the best of the others, of those that run on the same server.

    `redis` is the version that the peers need; None: those that run on the embedded server.
    """

    ours: Side
    others: Side
    pick: Pick = max
    workload: str = "noop"
    redis: Version | None = None

    def __call__(self, comparison: Comparison) -> Sequence[float]:
        """Round by round."""
        if rows := self.rows(comparison):
            return comparison.ratios((rows[0], self.ours.figure), (rows[1], self.others.figure), self.workload)
        return []

    def rows(self, comparison: Comparison) -> tuple[str, ...]:
        """Our best and the best of the others."""
        mine, theirs = (best(medians, self.pick) for medians in self._sides(comparison))
        return (mine, theirs) if mine and theirs else ()

    def contenders(self, comparison: Comparison) -> set[Entry]:
        """Those near the best of their side."""
        return {
            (name, self.workload)
            for medians in self._sides(comparison)
            for name, median in medians.items()
            if 1 / NEAR <= median / self.pick(list(medians.values())) <= NEAR
        }

    def _sides(self, comparison: Comparison) -> list[dict[str, float]]:
        here = [peer for peer in PEERS if peer.redis == self.redis]
        return [side.medians(comparison, here, self.workload) for side in (self.ours, self.others)]


@dataclass(frozen=True, slots=True)
class Pair:
    """One row's rate over another's, round by round: they are played one after the other."""

    row: str
    other: str
    workload: str

    def __call__(self, comparison: Comparison) -> Sequence[float]:
        """Round by round."""
        return comparison.ratios((self.row, "through"), (self.other, "through"), self.workload)

    def rows(self, comparison: Comparison) -> tuple[str, ...]:
        """Both."""
        return (self.row, self.other) if self(comparison) else ()

    def contenders(self, _comparison: Comparison) -> set[Entry]:
        """Both."""
        return {(self.row, self.workload), (self.other, self.workload)}


@dataclass(frozen=True, slots=True)
class Most:
    """The most that a row of ours has."""

    which: Which
    figure: str

    def __call__(self, comparison: Comparison) -> Sequence[float]:
        """Of each round."""
        return next((comparison.values(name, "noop", self.figure) for name in self.rows(comparison)), [])

    def rows(self, comparison: Comparison) -> tuple[str, ...]:
        """The one that has it."""
        name = best(Side(self.which, self.figure).medians(comparison, self._ours(), "noop"), max)
        return (name,) if name else ()

    def contenders(self, _comparison: Comparison) -> set[Entry]:
        """All of ours."""
        return {(peer.name, "noop") for peer in self._ours() if self.which(peer)}

    @staticmethod
    def _ours() -> list[Peer]:
        return [peer for peer in PEERS if peer.is_ours]
