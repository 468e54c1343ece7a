"""What a goal compares: figures of one run, one of each round, and which rows may still decide it."""

import statistics
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Protocol

from benchmarks.peers.catalog import PEERS
from benchmarks.peers.comparison import Comparison
from benchmarks.peers.peer import Peer

Which = Callable[[Peer], bool]
Pick = Callable[[Sequence[float]], float]
#: A row and a workload.
Cell = tuple[str, str]
#: A row whose median is off the best one's by more than this factor will not be the best after more rounds either.
NEAR = 1.5


class Compared(Protocol):
    """What a goal compares."""

    def __call__(self, comparison: Comparison) -> Sequence[float]:
        """One value of each round; empty: not measured."""

    def rows(self, comparison: Comparison) -> tuple[str, ...]:
        """Which rows the values are of; empty: not measured."""

    def contenders(self, comparison: Comparison) -> set[Cell]:
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
    """A figure of our best row over one of the best of the others; among servers, where we do worst."""

    ours: Side
    others: Side
    pick: Pick = max
    workload: str = "noop"

    def __call__(self, comparison: Comparison) -> Sequence[float]:
        """Round by round."""
        rows = self.rows(comparison)
        return self._ratios(comparison, *rows) if rows else []

    def rows(self, comparison: Comparison) -> tuple[str, ...]:
        """Our best and the best of the others, on the server where we do worst."""
        pairs: list[tuple[str, str]] = []
        for mine, theirs in self._sides(comparison):
            pair = best(mine, self.pick), best(theirs, self.pick)
            if pair[0] and pair[1] and self._ratios(comparison, pair[0], pair[1]):
                pairs.append((pair[0], pair[1]))
        worst = min if self.pick is max else max
        return worst(pairs, key=lambda pair: statistics.median(self._ratios(comparison, *pair)), default=())

    def _ratios(self, comparison: Comparison, mine: str, theirs: str) -> list[float]:
        return comparison.ratios((mine, self.ours.figure), (theirs, self.others.figure), self.workload)

    def contenders(self, comparison: Comparison) -> set[Cell]:
        """Those near the best of their side."""
        names = {
            name
            for sides in self._sides(comparison)
            for medians in sides
            for name, median in medians.items()
            if 1 / NEAR <= median / self.pick(list(medians.values())) <= NEAR
        }
        return {(name, self.workload) for name in names}

    def _sides(self, comparison: Comparison) -> Iterator[tuple[dict[str, float], dict[str, float]]]:
        for redis in {peer.redis for peer in PEERS}:
            here = [peer for peer in PEERS if peer.redis == redis]
            yield (
                self.ours.medians(comparison, here, self.workload),
                self.others.medians(comparison, here, self.workload),
            )


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

    def contenders(self, _comparison: Comparison) -> set[Cell]:
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

    def contenders(self, _comparison: Comparison) -> set[Cell]:
        """All of ours."""
        return {(peer.name, "noop") for peer in self._ours() if self.which(peer)}

    @staticmethod
    def _ours() -> list[Peer]:
        return [peer for peer in PEERS if peer.is_ours]
