"""The processes of a visit: on which core they run, and what they use."""

import json
import os
import signal
import subprocess
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import psutil

from benchmarks.cpu_time import scheduled


def cores() -> tuple[int, int]:
    """The core of the workers, and that of the server and the producer; the same one where there is only one."""
    usable = sorted(os.sched_getaffinity(0))
    return usable[0], usable[-1]


class Program:
    """A program of one side in a session of its own, pinned to a core with all that it starts."""

    def __init__(self, command: Sequence[str], environ: Mapping[str, str], home: Path, core: int) -> None:
        self._log = (home / "log").open("ab")
        self._process = subprocess.Popen(
            command,
            env=environ,
            cwd=home,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self._log,
            start_new_session=True,
            preexec_fn=lambda: os.sched_setaffinity(0, {core}),  # noqa: PLW1509 - before any thread starts
        )
        self._main = psutil.Process(self._process.pid)

    def ask(self, name: str, *arguments: Any) -> dict[str, float]:
        """Make a call of probe.py.

        Raises:
            RuntimeError: the program has ended.
        """
        assert self._process.stdin
        assert self._process.stdout
        self._process.stdin.write(json.dumps([name, arguments]).encode() + b"\n")
        self._process.stdin.flush()
        line = self._process.stdout.readline()
        if not line:
            raise RuntimeError(f"the call {name}{arguments} failed, see {self._log.name}")
        answer: dict[str, float] = json.loads(line)
        return answer

    @property
    def running(self) -> bool:
        """Whether it has not ended."""
        return self._process.poll() is None

    def children(self) -> list[psutil.Process]:
        """The processes that it started."""
        return self._main.children(recursive=True)

    def cpu(self) -> float:
        """Seconds of CPU of all its processes and their threads, to the nanosecond: clock ticks are too coarse."""
        return sum(map(scheduled, (self._main, *self.children())))

    def threads(self) -> int:
        """The threads of its main process."""
        return self._main.num_threads()

    def connections(self) -> int:
        """The connections of all its processes to any server."""
        every = (self._main, *self.children())
        return sum(len([each for each in one.net_connections("tcp") if each.raddr]) for one in every)

    def slot(self) -> tuple[float, float]:
        """Memory of a child process, its own (USS) and with its share of what others use too (PSS), in MiB; a mean."""
        memory = [child.memory_full_info() for child in self.children()]
        return (
            sum(each.uss for each in memory) / len(memory) / 2**20,
            sum(each.pss for each in memory) / len(memory) / 2**20,
        )

    @contextmanager
    def stopped(self) -> Iterator[None]:
        """Stop all its processes while the block runs."""
        os.killpg(self._process.pid, signal.SIGSTOP)
        try:
            yield
        finally:
            os.killpg(self._process.pid, signal.SIGCONT)

    def end(self) -> None:
        """Ask it to end, and kill what is left after a while."""
        for number, seconds in ((signal.SIGTERM, 20), (signal.SIGKILL, 20)):
            with suppress(ProcessLookupError):
                os.killpg(self._process.pid, number)
            with suppress(subprocess.TimeoutExpired):
                self._process.wait(seconds)
                break
        with suppress(ProcessLookupError):
            os.killpg(self._process.pid, signal.SIGKILL)
        for pipe in (self._process.stdin, self._process.stdout, self._log):
            if pipe:
                pipe.close()
