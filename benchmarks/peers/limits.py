"""What no queue can beat: the pools of the standard library, without a server, and the server without a client of ours.

A limit is measured like a peer: its row has the same figures, as far as there are any.
"""

import re
import shutil
import subprocess
import tempfile
import time
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from multiprocessing import get_context
from pathlib import Path
from urllib.parse import urlsplit

from benchmarks.peers.apps.work import WAIT_SECONDS, fibonacci, size
from benchmarks.peers.environment import programs
from benchmarks.peers.peer import EVERYSEC
from benchmarks.peers.rounds import AHEAD, Figures, Size, settings_of
from gristmill.server.home import Home
from gristmill.server.private import PrivateServer

PROCESSES, THREADS = 2, 64
NOOPS, PUT = 20_000, 200_000
#: Programs that measure a server, the first that is there.
METERS = ("valkey-benchmark", "redis-benchmark")


@dataclass(frozen=True, slots=True)
class Ceiling:
    """One row: what is called, and what measures a round of each workload that it has."""

    name: str
    called: str
    rounds: Mapping[str, Callable[[Size], Figures]]
    versions: str = "the standard library's"
    guarantee: str = "Nothing is kept: what a process that dies had is lost."
    #: Whether a program of METERS measures it.
    program: bool = False
    #: Its environment; None: none is needed.
    package: str | None = None

    def has(self, workload: str) -> bool:
        """Whether it has a round of a workload."""
        return workload in self.rounds

    def ready(self) -> None:
        """Make its environment, unless it is there.

        Raises:
            SubprocessError: that failed.
            RuntimeError: this machine lacks a program.
        """
        if self.program and not _meter():
            raise RuntimeError(f"needs {' or '.join(METERS)} on the PATH; there is none")
        if self.package:
            programs(self.package)


def _noop(number: int) -> int:
    return number


def _cpu(number: int) -> int:
    return fibonacci(size(number))


def _wait(number: int) -> int:
    time.sleep(WAIT_SECONDS)
    return number


def _pool(function: Callable[[int], int], chunk: int, this: Size) -> Figures:
    """Through a pool that is up, one result at a time."""
    count = int(NOOPS * this.share) if function is _noop else int(this.work * PROCESSES / 0.01)
    with get_context("fork").Pool(PROCESSES) as pool:
        for _ in pool.imap_unordered(function, range(AHEAD)):
            pass
        started_at = time.perf_counter()
        for _ in pool.imap_unordered(function, range(count), chunk):
            pass
        return _figures(count / (time.perf_counter() - started_at))


def _threads(function: Callable[[int], int], this: Size) -> Figures:
    count = int(NOOPS * this.share) if function is _noop else int(this.work * THREADS / WAIT_SECONDS)
    with ThreadPoolExecutor(THREADS) as pool:
        for _ in pool.map(function, range(AHEAD if function is _noop else THREADS)):
            pass
        started_at = time.perf_counter()
        for _ in pool.map(function, range(count)):
            pass
        return _figures(count / (time.perf_counter() - started_at))


def _figures(rate: float) -> Figures:
    """A pool that is up finishes as fast as it takes things from end to end."""
    return {"finish": rate, "through": rate}


def _meter() -> str | None:
    return next(filter(None, map(shutil.which, METERS)), None)


def _server(options: str, workload: str, this: Size) -> Figures:
    """LPUSH of 100 bytes, as often as it goes, on a server like that of the peers."""
    with tempfile.TemporaryDirectory() as path, PrivateServer(Home(Path(path)), settings_of(workload)) as server:
        url = urlsplit(server.url)
        where = ["-h", str(url.hostname), "-p", str(url.port), "-a", url.password or "", "-q", "-t", "lpush"]
        count = max(1000, int(PUT * this.share)) if "-P" in options else max(500, int(5000 * this.share))
        command = [str(_meter()), *where, "-d", "100", "-n", str(count), *options.split()]
        output = subprocess.run(command, check=True, capture_output=True, text=True).stdout
        rate = re.findall(r"([\d.]+) requests per second", output)[-1]
        return {"enqueue": float(rate)}


def _servers(options: str) -> dict[str, Callable[[Size], Figures]]:
    return {workload: partial(_server, options, workload) for workload in ("noop", EVERYSEC)}


LIMITS = (
    Ceiling(
        "multiprocessing.Pool",
        "`Pool(2).imap_unordered(…)`",
        {"noop": partial(_pool, _noop, 1), "cpu": partial(_pool, _cpu, 1)},
    ),
    Ceiling(
        "multiprocessing.Pool, chunks",
        "`Pool(2).imap_unordered(…, chunksize=100)`",
        {"noop": partial(_pool, _noop, 100)},
    ),
    Ceiling(
        "ThreadPoolExecutor",
        "`ThreadPoolExecutor(64).map(…)`",
        {"noop": partial(_threads, _noop), "wait": partial(_threads, _wait)},
    ),
    Ceiling(
        "the server, one by one",
        "`valkey-benchmark -t lpush -d 100 -c 1`",
        _servers("-c 1"),
        "valkey-benchmark or redis-benchmark",
        "A list on the disk.",
        program=True,
    ),
    Ceiling(
        "the server, pipelined",
        "`valkey-benchmark -t lpush -d 100 -c 1 -P 100`",
        _servers("-c 1 -P 100"),
        "valkey-benchmark or redis-benchmark",
        "A list on the disk.",
        program=True,
    ),
)
