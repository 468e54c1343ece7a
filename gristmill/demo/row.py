"""A row of `compare`."""

from dataclasses import dataclass
from typing import Any

from gristmill.demo.one_core import Measurement
from gristmill.demo.way import Way
from gristmill.demo.work import Workload


@dataclass(frozen=True, slots=True)
class Row:
    """The measurement of one work done one way; one item after another, the work took `sequential` seconds."""

    work: Workload
    way: Way
    measurement: Measurement
    sequential: float

    @property
    def speedup(self) -> float:
        """How many times as fast it was as one item after another."""
        return self.sequential / self.measurement.seconds

    @property
    def cores(self) -> float:
        """How many cores were busy on average: processor time over wall time."""
        return self.measurement.cores

    def fields(self) -> dict[str, Any]:
        """The fields for `--json`; `gil` is null for workers, whose interpreters are not checked."""
        return {
            "work": self.work.title,
            "way": self.way.label,
            "seconds": round(self.measurement.seconds, 3),
            "speedup": round(self.speedup, 2),
            "cores": round(self.cores, 2),
            "cpu_seconds": round(self.measurement.cpu_seconds, 3),
            "task": self.work.task,
            "items": len(self.work.items),
            "width": self.way.width,
            "gil": self.measurement.gil,
        }
