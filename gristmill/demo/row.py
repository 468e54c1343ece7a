"""A row of what `compare` measures."""

from dataclasses import dataclass
from typing import Any

from gristmill.demo.one_core import Measured
from gristmill.demo.way import Way
from gristmill.demo.work import Workload


@dataclass(frozen=True, slots=True)
class Row:
    """What one way took for one work, which took `alone` seconds one item after another."""

    work: Workload
    way: Way
    took: Measured
    alone: float

    @property
    def speedup(self) -> float:
        """How many times as fast it was as one item after another."""
        return self.alone / self.took.seconds

    @property
    def cores(self) -> float:
        """How many cores were busy on average: processor time over wall time."""
        return self.took.cpu_seconds / self.took.seconds

    def fields(self) -> dict[str, Any]:
        """Its fields for `--json`; `gil` is null of workers, which are not asked."""
        return {
            "work": self.work.title,
            "way": self.way.label,
            "seconds": round(self.took.seconds, 3),
            "speedup": round(self.speedup, 2),
            "cores": round(self.cores, 2),
            "cpu_seconds": round(self.took.cpu_seconds, 3),
            "task": self.work.task,
            "items": len(self.work.items),
            "width": self.way.width,
            "gil": self.took.gil,
        }
