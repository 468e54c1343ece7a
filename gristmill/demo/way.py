"""The ways in which `compare` does its work."""

from dataclasses import dataclass

from gristmill.demo.on_workers import measure_on
from gristmill.demo.one_core import Measurement, measure
from gristmill.demo.work import Workload
from gristmill.local.fleet import LocalFleet
from gristmill.tasks.kind import Kind

SEQUENTIAL, THREADING, EXECUTOR, POOL = "sequential", "threading", "ThreadPoolExecutor", "multiprocessing.Pool"
THREAD_WORKER, PROCESS_WORKER = "thread worker", "process worker"


@dataclass(frozen=True, slots=True)
class Way:
    """A way to do work: its name, and how many threads or processes do it."""

    name: str
    width: int

    @property
    def label(self) -> str:
        """The way with its width: `threading, 16 threads`."""
        return self.name if self.name == SEQUENTIAL else f"{self.name}, {self.width} {self.doers}"

    @property
    def doers(self) -> str:
        """What does the work: threads or processes."""
        doer = "process" if self.name in (SEQUENTIAL, POOL, PROCESS_WORKER) else "thread"
        return doer if self.width == 1 else {"process": "processes", "thread": "threads"}[doer]

    def measure(self, work: Workload, fleet: LocalFleet) -> Measurement:
        """Do the work this way.

        Raises:
            GristmillError: it failed; the text says why.
        """
        kind = {THREAD_WORKER: Kind.IO, PROCESS_WORKER: Kind.CPU}.get(self.name)
        if kind is None:
            return measure(self.name, work.task, work.items, self.width)
        return measure_on(fleet, kind, work.task, work.items)


def ways(threads: int, processes: int) -> list[Way]:
    """All ways, in the order in which they are shown."""
    local = [Way(SEQUENTIAL, 1), Way(THREADING, threads), Way(EXECUTOR, threads), Way(POOL, processes)]
    return [*local, Way(THREAD_WORKER, threads), Way(PROCESS_WORKER, processes)]
