"""Workers in processes of their own, each in a group of its own, that can be killed."""

import os
import signal
import subprocess
from collections.abc import Callable, Mapping
from contextlib import suppress
from pathlib import Path
from types import TracebackType
from typing import Self

import psutil

from benchmarks.chaos.journal import WORKER

#: Starts a process, as `subprocess.Popen` does.
Popen = Callable[..., "subprocess.Popen[bytes]"]
#: Seconds for a worker that was asked to end.
WARM_SECONDS = 60.0


class Worker:
    """One worker; it ends when this process does, however that ends."""

    def __init__(
        self,
        name: str,
        command: list[str],
        environ: Mapping[str, str],
        log: Path,
        popen: Popen = subprocess.Popen,
    ) -> None:
        self.name = name
        with log.open("wb") as output:
            self._process = popen(
                command,
                env={**environ, WORKER: name},
                stdin=subprocess.PIPE,
                stdout=output,
                stderr=output,
                start_new_session=True,
            )

    @property
    def pid(self) -> int:
        """Of its main process."""
        return self._process.pid

    @property
    def alive(self) -> bool:
        """Whether its main process lives."""
        return self._process.poll() is None

    def children(self) -> list[int]:
        """The pids of its pool's processes."""
        with suppress(psutil.NoSuchProcess):
            return [child.pid for child in psutil.Process(self.pid).children()]
        return []

    def signal(self, number: signal.Signals) -> None:
        """Send a signal to all its processes."""
        with suppress(ProcessLookupError):
            os.killpg(self.pid, number)

    def kill(self) -> None:
        """Kill all its processes with -9; they are gone when this returns."""
        self.signal(signal.SIGKILL)
        # One that was just forked has no group yet.
        self._process.kill()
        self._process.wait()
        if self._process.stdin:
            self._process.stdin.close()

    def end(self) -> None:
        """Ask its main process to end, as an operator does, and wait for that.

        Raises:
            subprocess.TimeoutExpired: it did not.
        """
        self._process.terminate()
        self._process.wait(WARM_SECONDS)
        self.kill()


class Fleet:
    """The workers of a run. `command` answers how one of a name is started, and `popen` starts it; they log into
    `directory`.
    """

    def __init__(
        self,
        command: Callable[[str], list[str]],
        environ: Mapping[str, str],
        directory: Path,
        popen: Popen = subprocess.Popen,
    ) -> None:
        self._command, self._environ, self._directory, self._popen = command, environ, directory, popen
        self._started = 0
        self.workers: list[Worker] = []

    def start(self, count: int = 1) -> None:
        """Start workers, under names that no worker had before."""
        for _ in range(count):
            name = f"w{self._started}"
            self._started += 1
            log = self._directory / f"{name}.log"
            self.workers.append(Worker(name, self._command(name), self._environ, log, self._popen))

    def replace(self, worker: Worker) -> None:
        """Start another in the place of one that has ended: the first ones stay the first."""
        place = self.workers.index(worker)
        self.start()
        self.workers[place] = self.workers.pop()

    def revive(self) -> None:
        """Replace those that have died by themselves."""
        for worker in [each for each in self.workers if not each.alive]:
            worker.kill()
            self.replace(worker)

    def end(self) -> None:
        """Ask all of them to end, and wait for that."""
        while self.workers:
            self.workers.pop().end()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        while self.workers:
            self.workers.pop().kill()
