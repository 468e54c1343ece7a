"""One round of one peer and one workload, on a server and with workers of its own."""

import json
import os
import statistics
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from redis import Redis

from benchmarks.peers.peer import APPS, EVERYSEC, ROOT, Peer
from benchmarks.peers.server import binary
from benchmarks.peers.tally import PATIENCE, Stalled, Tally
from benchmarks.peers.workers import Workers
from benchmarks.polling import until
from benchmarks.quantile import quantile
from gristmill.batches.info import BatchInfo
from gristmill.batches.ledger import Ledger
from gristmill.config.settings import Settings, load
from gristmill.server.home import Home
from gristmill.server.private import PrivateServer

#: What a round measures, by name.
Figures = dict[str, float]
#: Tasks that go ahead when workers have to be up before timing starts.
AHEAD = 20
#: Seconds after which a command that puts tasks is given up.
PUT_SECONDS = 120.0
#: No-ops that workers have run when their memory is looked at.
SETTLED = 1_000


@dataclass(frozen=True, slots=True)
class Size:
    """How large a round is: a share of each peer's no-ops, `seconds` of light load and as many of idling,
    `rate` tasks per second of light load, and seconds that 2 cores or all slots need for the other workloads."""

    share: float = 0.4
    seconds: float = 2.0
    rate: float = 20.0
    work: float = 3.0


def settings_of(workload: str) -> Settings:
    """Those of the server: as shipped, but for how often it flushes."""
    return load({"GRISTMILL_SERVER_FSYNC": "everysec"} if workload == EVERYSEC else {})


class Round:
    """A peer with its server, its tally and what its processes need to find both."""

    def __init__(self, peer: Peer, workload: str, home: Path, server: PrivateServer) -> None:
        self.peer, self.workload, self.url = peer, workload, server.url
        (home / "tally").mkdir()
        self.tally, self._log, self._put = Tally(home / "tally"), home / "log", 0
        #: Where tasks mark when they begin and end.
        self.marks = home / "tally" / "marks"
        self._environ = {
            **os.environ,
            "PYTHONPATH": f"{ROOT}{os.pathsep}{APPS}" if peer.package is None else str(APPS),
            "BENCH_URL": server.url,
            "RQ_REDIS_URL": server.url,
            "BENCH_TALLY": str(home / "tally"),
            "GRISTMILL_HOME": str(home),
            "GRISTMILL_REDIS_URL": server.url,
            "GRISTMILL_TASK_MODULES": "batch_app",
            "GRISTMILL_LOG_LEVEL": "error",
            **peer.environ,
        }

    def putter(self, *arguments: str) -> "subprocess.Popen[bytes]":
        """Put tasks meanwhile (see apps/put.py)."""
        command = self.peer.putting(*arguments)
        return subprocess.Popen(command, cwd=APPS, env=self._environ, stdout=subprocess.DEVNULL)

    def put(self, *arguments: str, count: int) -> dict[str, Any]:
        """Put tasks (see apps/put.py), `count` of them and the one that goes ahead."""
        command = self.peer.putting(*arguments)
        ran = subprocess.run(
            command, cwd=APPS, env=self._environ, check=True, stdout=subprocess.PIPE, timeout=PUT_SECONDS
        )
        self._put += count + 1
        answer: dict[str, Any] = json.loads(ran.stdout)
        return answer

    def many(self, task: str, count: int) -> dict[str, Any]:
        """Put a list."""
        if self.peer.lot > 1:
            return self.put("lots", str(self.peer.lot), str(count), count=count)
        return self.put("many", task, str(count), count=count)

    def workers(self) -> Workers:
        """Start the workers."""
        command, times = self.peer.command(self.workload), self.peer.workers[self.workload][1]
        return Workers(command, times, self._environ, APPS, self._log)

    def last_words(self) -> str:
        """The end of what the workers said."""
        answer = self._log.read_text(errors="replace").split("\n") if self._log.exists() else []
        return " ".join([line.strip() for line in answer if line.strip()][-2:])[-500:] or "its workers said nothing"

    def finished(self, answer: dict[str, Any]) -> float:
        """Wait until all that was put is done, and recorded where the peer records; when it was, a Unix time."""
        self.tally.until(self._put)
        return self._recorded(answer["answer"]) if answer["answer"] else self.tally.last

    def _recorded(self, batch: str) -> float:
        with Redis.from_url(self.url, decode_responses=True) as client:
            ledger = Ledger(client, load({}))

            def finished() -> float | None:
                return BatchInfo.from_fields(batch, ledger.state(batch)).finished

            return until(finished, PATIENCE, "the record of the batch", pause=0.005, error=Stalled)


@contextmanager
def round_of(peer: Peer, workload: str, settings: Settings | None = None) -> Iterator[Round]:
    """A peer on a server of its own, with the shipped settings unless others are given.

    Raises:
        RuntimeError: there is no server that the peer runs on.
    """
    program = binary(peer.redis)
    with (
        tempfile.TemporaryDirectory(prefix="benchmark-", ignore_cleanup_errors=True) as path,
        PrivateServer(Home(Path(path) / "server"), settings or load({}), program) as server,
    ):
        this = Round(peer, workload, Path(path), server)
        try:
            yield this
        except Stalled as error:
            raise Stalled(f"{error}: {this.last_words()}") from None


def play(peer: Peer, workload: str, size: Size) -> Figures:
    """Measure one round.

    Raises:
        Stalled: tasks were lost, or are not run.
        SubprocessError: the peer's environment cannot be made, or tasks cannot be put.
        RuntimeError: there is no server that the peer runs on.
    """
    if workload == EVERYSEC:
        return finish(peer, size, workload)
    with round_of(peer, workload) as this:
        return _drained(this, size) | _settled(this, size) if workload == "noop" else _work(this, size)


def finish(peer: Peer, size: Size, workload: str = "noop") -> Figures:
    """Of a round of no-ops only how fast they are put and finished. Raises as `play` does."""
    with round_of(peer, "noop", settings_of(workload)) as this:
        return _drained(this, size)


def _count(this: Round, size: Size) -> int:
    return max(100, int(this.peer.noops * size.share))


def _drained(this: Round, size: Size) -> Figures:
    """A list is put, then workers start and drain it."""
    count = _count(this, size)
    answer = this.many("noop", count)
    figures = {"enqueue": count / (answer["ended"] - answer["begun"])}
    with this.workers() as workers:
        # The first tenth is not counted: not every process is up then.
        before, started_at, used = this.tally.until(count // 10), time.time(), workers.cpu()
        left = count + 1 - before
        figures["finish"] = left / (this.finished(answer) - started_at)
        figures["cpu"] = 1e6 * (workers.cpu() - used) / left
    return figures


def _settled(this: Round, size: Size) -> Figures:
    """Workers that are up: their memory, idling, under light load, and with a list from the first put to the end."""
    count = _count(this, size)
    with this.workers() as workers:
        this.finished(this.many("noop", SETTLED))
        figures = _memory(this, workers)
        # Of one worker, as a row may have two.
        figures["idle"] = 100 * _idle(workers, size.seconds) / this.peer.workers[this.workload][1]
        if this.peer.singles:
            figures |= _light(this, size)
        answer = this.many("noop", count)
        figures["through"] = count / (this.finished(answer) - answer["begun"])
    return figures


def _memory(this: Round, workers: Workers) -> Figures:
    memory, ran = workers.memory(), this.tally.pids()
    slots = [memory[pid] for pid in ran if pid in memory]
    time.sleep(1)
    return {"memory": sum(memory.values()), "slot": statistics.fmean(slots)}


def _idle(workers: Workers, seconds: float) -> float:
    used, started_at = workers.scheduled(), time.monotonic()
    time.sleep(seconds)
    return (workers.scheduled() - used) / (time.monotonic() - started_at)


def _light(this: Round, size: Size) -> Figures:
    answer = this.put("light", str(size.rate), str(size.seconds), count=int(size.rate * size.seconds))
    this.finished(answer)
    waits = [1000 * wait for wait in this.tally.waits()]
    return {"p50": statistics.median(waits), "p99": quantile(waits, 0.99)}


def _work(this: Round, size: Size) -> Figures:
    """The workers are up, and their processes have run something, before the list is put."""
    slots, seconds = (this.peer.slots, 0.1) if this.workload == "wait" else (2, 0.01)
    count = int(size.work * slots / seconds)
    with this.workers() as workers:
        this.finished(this.many(this.workload, max(AHEAD, slots)))
        used = workers.cpu()
        answer = this.many(this.workload, count)
        took = this.finished(answer) - answer["begun"]
        return {"through": count / took, "cpu": 1e6 * (workers.cpu() - used) / count}
