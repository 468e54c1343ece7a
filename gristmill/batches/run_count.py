"""Counts runs that nobody will record, because their slot was killed: duplicates, since their items run again."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from gristmill.batches.reader import ResultReader
from gristmill.batches.result import Result
from gristmill.batches.scripts import BatchScripts


@dataclass(frozen=True, slots=True)
class ProgramRun:
    """A run of a program: the index of its item, and when it began, in Unix time to the millisecond."""

    index: int
    started: float


class RunCount(BatchScripts):
    """Counts runs of programs that have no record."""

    def add(self, batch: str, epoch: int, runs: Sequence[ProgramRun], token: str) -> int:
        """Add to the duplicates of `batch` those of `runs` that are not recorded; return how many were counted.

        A run of an item that was cancelled counts for nothing. `epoch` is the batch's when the runs began; another
        batch of that name counts none. `token` names this call: repeated, it counts nothing twice.

        Raises:
            RedisError: the server cannot be reached.
        """
        reader = ResultReader(self.client, self.settings, batch)
        indexes = [run.index for run in runs]
        results = {result.index: result for result in reader.in_order(min(indexes), max(indexes) + 1)}
        number = sum(not _ends(results.get(run.index), run) for run in runs)
        return int(self._call("count_runs", batch=batch, epoch=epoch, runs=number, token=token)) if number else 0


def _ends(result: Result | None, run: ProgramRun) -> bool:
    """Whether `result` is the record of `run`, or its item was cancelled."""
    if result is None:
        return False
    outcome: Any = result.value if result.state == "succeeded" else (result.error or {}).get("outcome")
    recorded_at = outcome.get("started") if isinstance(outcome, dict) else None
    return result.state == "cancelled" or recorded_at == run.started
