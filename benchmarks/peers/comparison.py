"""What rounds measured: figures by row and workload, their medians and spreads."""

import json
import statistics
from collections.abc import Iterable, Iterator
from pathlib import Path

from benchmarks.peers.rounds import Figures


def _key(number: int, turn: int) -> str:
    return f"{number}.{turn}" if turn else str(number)


class Comparison:
    """Figures of rounds."""

    def __init__(self, rows: dict[str, dict[str, dict[str, Figures]]] | None = None) -> None:
        #: Row -> workload -> number of the round, and after a point its turn -> its figures. What failed has none.
        self._rows = rows or {}
        #: Why a row has no figures, or not in all rounds.
        self.failures: dict[str, str] = {}

    @classmethod
    def read(cls, path: Path) -> "Comparison":
        """The rounds that `to_json` gave, from a file. Those that failed are to be played again."""
        return cls(json.loads(path.read_text())["rounds"])

    def has(self, row: str, workload: str, number: int, turn: int = 0) -> bool:
        """Whether this turn of a round is there."""
        return _key(number, turn) in self._rows.get(row, {}).get(workload, {})

    def add(self, row: str, workload: str, number: int, figures: Figures, turn: int = 0) -> None:
        """Take in the turn of the round of this number."""
        self._rows.setdefault(row, {}).setdefault(workload, {})[_key(number, turn)] = figures

    def ordered(self, names: Iterable[str]) -> "Comparison":
        """The same, its rows in this order."""
        comparison = Comparison({name: self._rows[name] for name in names if name in self._rows})
        comparison.failures = self.failures
        return comparison

    def __iter__(self) -> Iterator[str]:
        return iter(self._rows)

    @property
    def rounds(self) -> int:
        """How many rounds the row with the most has."""
        keys = (rounds for row in self._rows.values() for rounds in row.values())
        return max((len({key.partition(".")[0] for key in rounds}) for rounds in keys), default=0)

    def values(self, row: str, workload: str, figure: str) -> list[float]:
        """A figure of each round."""
        rounds = self._rows.get(row, {}).get(workload, {})
        return sorted(figures[figure] for figures in rounds.values() if figure in figures)

    def median(self, row: str, workload: str, figure: str) -> float | None:
        """The median of a figure; None: it was not measured."""
        values = self.values(row, workload, figure)
        return statistics.median(values) if values else None

    def ratios(self, one: tuple[str, str], other: tuple[str, str], workload: str) -> list[float]:
        """A figure of a row over one of another, round by round: so the ratio does not swing with the machine."""
        mine, theirs = (self._rows.get(name, {}).get(workload, {}) for name, _ in (one, other))
        both = [number for number in mine if number in theirs]
        return [mine[number][one[1]] / theirs[number][other[1]] for number in both]

    def to_json(self) -> dict[str, object]:
        """All of it."""
        return {"rounds": self._rows, "failures": self.failures}
