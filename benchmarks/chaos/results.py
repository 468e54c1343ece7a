"""Results of several runs in one file, so that a long run can be made in pieces."""

import json
from collections.abc import Iterable
from dataclasses import fields
from pathlib import Path

from benchmarks.chaos.count import Count

#: Fields of a count that are the sums of those of its pieces.
_SUMS = ("kills", "submitted", "done", "lost", "left", "dead", "duplicates", "redelivered", "not_back", "seconds")


class ResultFile:
    """The counts in a file, one JSON object a line: each run appends its own."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def append(self, count: Count) -> None:
        """Add the count of a run."""
        with self.path.open("a") as file:
            file.write(json.dumps(count.as_dict()) + "\n")

    def counts(self) -> list[Count]:
        """All counts, in the order in which their runs ended."""
        names = {each.name for each in fields(Count)}
        lines = self.path.read_text().splitlines() if self.path.exists() else []
        objects = map(json.loads, lines)
        return [Count(**{name: value for name, value in each.items() if name in names}) for each in objects]

    def of(self, scenario: str, pool: str, transport: str) -> list[Count]:
        """The counts of one scenario on one pool and transport."""
        return [
            count
            for count in self.counts()
            if (count.scenario, count.pool, count.transport) == (scenario, pool, transport)
        ]


def merged(counts: Iterable[Count]) -> list[Count]:
    """One count for each scenario, pool and transport, with the seed of its first run."""
    sums: dict[tuple[str, str, str], Count] = {}
    for count in counts:
        total = sums.setdefault(
            (count.scenario, count.pool, count.transport),
            Count(count.scenario, count.pool, count.transport, count.seed),
        )
        for name in _SUMS:
            setattr(total, name, getattr(total, name) + getattr(count, name))
        total.recoveries += count.recoveries
        total.broken += count.broken
        for fault, times in count.faults.items():
            total.faults[fault] = total.faults.get(fault, 0) + times
        numbers = [each.unanswered for each in (total, count) if each.unanswered is not None]
        total.unanswered = min(numbers, default=None)
    return list(sums.values())
