"""What rounds measured: figures by row and workload, their medians and spreads."""

import statistics
from collections.abc import Iterable, Iterator

from benchmarks.peers.rounds import Figures


class Comparison:
    """Figures of rounds."""

    def __init__(self, rows: dict[str, dict[str, list[Figures]]] | None = None) -> None:
        self._rows = rows or {}
        #: Why a row has no figures, or not in all rounds.
        self.failures: dict[str, str] = {}

    def add(self, row: str, workload: str, figures: Figures) -> None:
        """Take in one round."""
        self._rows.setdefault(row, {}).setdefault(workload, []).append(figures)

    def ordered(self, names: Iterable[str]) -> "Comparison":
        """The same, its rows in this order."""
        comparison = Comparison({name: self._rows[name] for name in names if name in self._rows})
        comparison.failures = self.failures
        return comparison

    def __iter__(self) -> Iterator[str]:
        return iter(self._rows)

    def values(self, row: str, workload: str, figure: str) -> list[float]:
        """A figure of each round."""
        rounds = self._rows.get(row, {}).get(workload, [])
        return sorted(figures[figure] for figures in rounds if figure in figures)

    def median(self, row: str, workload: str, figure: str) -> float | None:
        """The median of a figure; None: it was not measured."""
        values = self.values(row, workload, figure)
        return statistics.median(values) if values else None

    def medians(self, rows: Iterable[str], workload: str, figure: str) -> list[float]:
        """The medians of those rows that have one."""
        medians = [self.median(row, workload, figure) for row in rows]
        return [value for value in medians if value is not None]

    def ratios(self, row: str, other: str, workload: str, figure: str) -> list[float]:
        """A figure of a row over that of another, round by round: so it does not swing with the machine."""
        mine, theirs = (self._rows.get(name, {}).get(workload, []) for name in (row, other))
        return [one[figure] / two[figure] for one, two in zip(mine, theirs, strict=False)]

    def to_json(self) -> dict[str, object]:
        """All of it."""
        return {"rounds": self._rows, "failures": self.failures}
