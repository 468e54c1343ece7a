"""The workers of a round: processes whose CPU and memory are looked at, and that are killed in the end."""

import os
import signal
import subprocess
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from types import TracebackType
from typing import Self

import psutil

from benchmarks.cpu_time import scheduled
from gristmill.demo.on_workers import processor_seconds

MB = 10**6


class Workers:
    """The command, started some times, each in a session of its own; what they print goes to `log`."""

    def __init__(self, command: list[str], times: int, environ: Mapping[str, str], cwd: Path, log: Path) -> None:
        self._command, self._times, self._environ, self._cwd, self._log = command, times, environ, cwd, log
        self._mains: list[subprocess.Popen[bytes]] = []
        self.start()

    def start(self) -> None:
        """Start them; they must not run."""
        with self._log.open("ab") as output:
            self._mains = [
                subprocess.Popen(
                    self._command,
                    cwd=self._cwd,
                    env=self._environ,
                    stdin=subprocess.DEVNULL,
                    stdout=output,
                    stderr=output,
                    start_new_session=True,
                )
                for _ in range(self._times)
            ]

    def processes(self) -> list[psutil.Process]:
        """All that live."""
        processes = []
        for main in self._mains:
            with suppress(psutil.NoSuchProcess):
                process = psutil.Process(main.pid)
                processes += [process, *process.children(recursive=True)]
        return processes

    def cpu(self) -> float:
        """Seconds of CPU that those which live have used."""
        return processor_seconds(main.pid for main in self._mains)

    def scheduled(self) -> float:
        """The same for threads that live, to the nanosecond."""
        return sum(map(scheduled, self.processes()))

    def memory(self) -> dict[int, float]:
        """MB of each process that are its own (USS), by its pid."""
        return {process.pid: process.memory_full_info().uss / MB for process in self.processes()}

    def kill(self) -> None:
        """Kill all of them; they are gone when this returns."""
        left = self.processes()
        for main in self._mains:
            with suppress(ProcessLookupError):
                os.killpg(main.pid, signal.SIGKILL)
        for process in left:
            with suppress(psutil.NoSuchProcess):
                process.kill()
        for main in self._mains:
            main.wait()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.kill()
