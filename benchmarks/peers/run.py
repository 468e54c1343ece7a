"""A run: rounds while there is time. What fails is noted, and nothing that fails ends the rest."""

import json
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path

from benchmarks.peers.comparison import Comparison
from benchmarks.peers.rounds import Size
from benchmarks.peers.rows import Row, measured
from benchmarks.peers.schedule import PeerVisit, visits

#: Times that a row may fail in a workload before it is left out of the rest.
TRIES = 2


class PeerRun:
    """A comparison that grows; `keep` is the file that has it too."""

    def __init__(self, comparison: Comparison, size: Size, keep: Path | None) -> None:
        self._comparison, self._size, self._keep = comparison, size, keep
        #: By row and workload, seconds of its last visit, and how often it failed.
        self._took: dict[tuple[str, str], float] = {}
        self._failed: Counter[tuple[str, str]] = Counter()

    def play(self, rows: Sequence[Row], workloads: Sequence[str], rounds: int, minutes: float) -> None:
        """Play what is left of so many rounds; begins none that would end after `minutes`, as far as can be told.

        Environments are made before that time begins.
        """
        rows = [row for row in rows if self._ready(row)]
        ends_at = time.monotonic() + 60 * minutes
        for number in range(rounds):
            left = [visit for visit in visits(rows, workloads, number, self._comparison) if self._is_left(visit)]
            seconds = sum(self._took.get((visit.row.name, visit.workload), 0.0) for visit in left)
            if time.monotonic() + seconds > ends_at:
                _say(f"{number} rounds are played; there is no time for one more, which would take {seconds:.0f} s")
                break
            for visit in left:
                # It may have failed in an earlier turn of this round.
                if self._is_left(visit):
                    self._visit(visit)

    def _ready(self, row: Row) -> bool:
        try:
            row.ready()
        except Exception as error:
            self._comparison.failures[row.name] = why(error)
            _say(f"{row.name}: left out: {why(error)}")
            return False
        return True

    def _is_left(self, visit: PeerVisit) -> bool:
        entry = visit.row.name, visit.workload
        return self._failed[entry] < TRIES and not self._comparison.has(*entry, visit.number, visit.turn)

    def _visit(self, visit: PeerVisit) -> None:
        entry, since = (visit.row.name, visit.workload), time.monotonic()
        label = f"round {visit.number + 1}: {visit.workload}: {visit.row.name}"
        try:
            figures = measured(visit.row, visit.workload, self._size)
        except Exception as error:
            self._failed[entry] += 1
            self._comparison.failures[visit.row.name] = why(error)
            text = f"failed: {error}"
        else:
            self._comparison.add(*entry, visit.number, figures, visit.turn)
            text = ", ".join(f"{name} {value:,.1f}" for name, value in figures.items())
        self._took[entry] = time.monotonic() - since
        _say(f"{label}: {text} [{self._took[entry]:.0f} s]")
        self._save()

    def _save(self) -> None:
        if self._keep:
            new = self._keep.with_name(f"{self._keep.name}.new")
            new.write_text(json.dumps({"size": asdict(self._size), **self._comparison.to_json()}, indent=1))
            new.replace(self._keep)


def _say(text: str) -> None:
    print(text, file=sys.stderr, flush=True)


def why(error: Exception) -> str:
    """In a sentence, without what only this machine knows."""
    if isinstance(error, subprocess.CalledProcessError):
        return f"`{Path(error.cmd[0]).name}` ended with code {error.returncode}"
    if isinstance(error, subprocess.TimeoutExpired):
        return f"`{Path(error.cmd[0]).name}` did not end within {error.timeout:g} s"
    return str(error) or type(error).__name__
