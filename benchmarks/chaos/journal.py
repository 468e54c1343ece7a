"""The journal of a run: which process began and ended which task when. A file: no fault of a server touches it."""

import os
import time
from collections import Counter
from pathlib import Path
from typing import NamedTuple

#: Environment variables of a worker: the journal's file, and the worker's name in it.
FILE, WORKER = "BENCH_JOURNAL", "BENCH_WORKER"


def say(what: str, number: int) -> None:
    """Write one line, `begun` or `done` and the task's number; what a line says stays when its writer is killed."""
    line = f"{what} {number} {os.environ[WORKER]} {os.getpid()} {time.monotonic()}\n"
    file = os.open(os.environ[FILE], os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)
    try:
        os.write(file, line.encode())
    finally:
        os.close(file)


class Beginning(NamedTuple):
    """A task began: `at` in seconds of the host's monotonic clock, in the process `pid` of a worker."""

    at: float
    worker: str
    pid: int


class Journal:
    """What the workers of a run have written so far."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.beginnings: dict[int, list[Beginning]] = {}
        self.done: Counter[int] = Counter()
        #: For each worker what it has begun and not ended, with the pid that runs it.
        self._running: dict[str, dict[int, int]] = {}
        self._read = 0

    def read(self) -> bool:
        """Take in what was written since the last call; whether that was anything."""
        if not self.path.exists():
            return False
        with self.path.open("rb") as file:
            file.seek(self._read)
            text, _, _ = file.read().rpartition(b"\n")
        if not text:
            return False
        self._read += len(text) + 1
        for line in text.decode().splitlines():
            self._note(*line.split())
        return True

    def _note(self, what: str, number: str, worker: str, pid: str, at: str) -> None:
        task, running = int(number), self._running.setdefault(worker, {})
        if what == "begun":
            self.beginnings.setdefault(task, []).append(Beginning(float(at), worker, int(pid)))
            running[task] = int(pid)
        else:
            self.done[task] += 1
            running.pop(task, None)

    def running(self, worker: str, pid: int | None = None) -> set[int]:
        """What a worker, or one process of it, has begun and not ended."""
        return {task for task, by in self._running.get(worker, {}).items() if pid in (None, by)}

    def forget(self, worker: str, tasks: set[int]) -> None:
        """Those tasks do not run there any more: their process is dead."""
        for task in tasks:
            self._running[worker].pop(task, None)

    @property
    def begun_again(self) -> int:
        """Beginnings beyond each task's first."""
        return sum(len(each) - 1 for each in self.beginnings.values())

    @property
    def done_again(self) -> int:
        """Ends beyond each task's first."""
        return self.done.total() - len(self.done)
