"""Cuts under load, one after another: after each, what was answered must be there, and the parts of batches agree."""

import os
import random
import shutil
import signal
import tempfile
import threading
import time
from collections import Counter
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from redis import Redis
from redis.exceptions import RedisError

from benchmarks.chaos.power.disk import Disk, build
from benchmarks.chaos.power.facts import BatchFacts, Facts
from benchmarks.chaos.power.load import (
    PLAIN,
    QUEUE,
    Actor,
    ControllingActor,
    RunningActor,
    SendingActor,
    SubmittingActor,
)
from benchmarks.chaos.power.servers import server_of
from benchmarks.chaos.wire import Ours
from gristmill.batches.info import BatchInfo
from gristmill.batches.ledger import Ledger
from gristmill.batches.reader import ResultReader
from gristmill.batches.repair import Repair
from gristmill.config.settings import load
from gristmill.server.private import PrivateServer
from gristmill.server.waiting import Deadline

#: Seconds between a start and the next cut, and for the batches to end after the last one.
BETWEEN, ENDING = (0.05, 0.6), 60.0
#: Share of the cuts after which a part of what was not flushed is on disk: a torn end.
TORN = 0.5
#: Share of the cuts that come while the AOF is rewritten, and the seconds that this takes at most.
REWRITING, REWRITE_SECONDS = 0.3, 0.03


@dataclass(slots=True)
class PowerCount:
    """What became of a run. `lost`: answers that the server forgot; `hanging`: batches that do not end.

    `submitted` and the outcomes are items of batches that ended. `disagreed` counts the batches whose parts disagreed
    after a cut, `mended` those that were mended then. `bytes` were not flushed at the cuts. `rewrites` counts the cuts
    that came while the AOF was rewritten.
    """

    server: str
    fsync: str
    ours: bool
    seed: int
    cuts: int = 0
    rewrites: int = 0
    answers: int = 0
    lost: int = 0
    hanging: int = 0
    disagreed: int = 0
    mended: int = 0
    bytes: int = 0
    submitted: int = 0
    states: Counter[str] = field(default_factory=Counter)
    wrong_sums: int = 0
    seconds: float = 0.0
    version: str = ""

    @property
    def broken(self) -> list[str]:
        """What was promised and did not hold; nothing is promised with everysec, or of a server of others."""
        if self.fsync != "always" or not self.ours:
            return []
        fields = ("lost", "hanging", "disagreed", "wrong_sums")
        return [f"{getattr(self, name)} {name}" for name in fields if getattr(self, name)]


class Cuts:
    """One run on one server."""

    def __init__(self, count: PowerCount, directory: Path) -> None:
        self.count = count
        self.luck = random.Random(f"{count.seed} {count.server} {count.fsync}")
        self.facts = Facts()
        self.server: PrivateServer = server_of(count.server, directory, count.fsync, ours=count.ours)
        self.disk = Disk(self.server.directory, build(directory))
        self._stopping = threading.Event()
        self._errors: list[BaseException] = []

    def run(self, cuts: int) -> None:
        """Cut the power so often, then let everything end."""
        with self.disk.watched():
            self.server.start()
        try:
            self._prepare()
            for _ in range(cuts):
                self._one()
            self._end()
        finally:
            self.server.stop()

    def _prepare(self) -> None:
        url, facts = self.server.url, self.facts
        seeds = [random.Random(self.luck.random()) for _ in range(5)]
        self.operator = ControllingActor(url, facts, seeds[3])
        self.operator.on_finished = self._tally
        workers = [RunningActor(url, facts, seed) for seed in seeds[1:3]]
        self.actors: list[Actor] = [
            SubmittingActor(url, facts, seeds[0]),
            *workers,
            self.operator,
            SendingActor(url, facts, seeds[4]),
        ]
        client: Any = Redis.from_url(url, decode_responses=True)
        self.ledger = Ledger(client, load({}))
        self.repair = Repair(client, self.ledger.settings)
        self.wire = Ours(url, PLAIN)
        info = client.info("server")
        self.count.version = str(info.get("valkey_version") or info["redis_version"])

    def _one(self) -> None:
        threads = self._start()
        before = self.facts.answers
        time.sleep(self.luck.uniform(*BETWEEN))
        while self.facts.answers < before + 3 and not self._errors:
            time.sleep(0.01)
        if self.luck.random() < REWRITING:
            self._rewrite()
        assert self.server.pid
        os.kill(self.server.pid, signal.SIGKILL)
        self._join(threads)
        while self.server.alive:
            time.sleep(0.005)
        self.count.bytes += self.disk.cut(self.luck, in_part=self.luck.random() < TORN)
        with self.disk.watched():
            self.server.restart()
        self.count.cuts, self.count.answers = self.count.cuts + 1, self.facts.answers
        self._look()

    def _rewrite(self) -> None:
        """Have the server rewrite its AOF, and let it come to any point of that."""
        with suppress(RedisError):
            self.ledger.client.bgrewriteaof()
        self.count.rewrites += 1
        time.sleep(self.luck.uniform(0, REWRITE_SECONDS))

    def _look(self) -> None:
        """Compare the server with what it has answered, before anybody goes on."""
        self.count.lost += self.facts.lost(self.ledger, self.wire)
        for name in self.repair.names():
            if self.repair.examine(name):
                self.count.disagreed += 1
                self.count.mended += bool(self.repair.mend(name)) and not self.repair.examine(name)
        queues = len(self.repair.queues([QUEUE], mend=True))
        self.count.disagreed += queues
        self.count.mended += queues and not self.repair.queues([QUEUE], mend=False)

    def _start(self) -> list[threading.Thread]:
        self._stopping.clear()
        for actor in self.actors:
            actor.resume()
        threads = [threading.Thread(target=self._act, args=(actor,), daemon=True) for actor in self.actors]
        for thread in threads:
            thread.start()
        return threads

    def _act(self, actor: Actor) -> None:
        try:
            while not self._stopping.is_set():
                actor.step()
        except (RedisError, OSError) as error:
            # The cut. What the server refuses is a fault of ours.
            if "closed" not in str(error).lower() and "connect" not in str(error).lower():
                self._errors.append(error)
        except BaseException as error:
            self._errors.append(error)

    def _join(self, threads: list[threading.Thread]) -> None:
        self._stopping.set()
        for thread in threads:
            thread.join(30)
        if self._errors:
            raise self._errors[0]

    def _tally(self, batch: BatchFacts) -> None:
        info = BatchInfo.from_fields(batch.name, self.ledger.state(batch.name))
        results = ResultReader(self.ledger.client, self.ledger.settings, batch.name).in_order(0, info.submitted)
        states = Counter(str(result.state) for result in results)
        self.count.submitted += info.submitted
        self.count.states += states
        counters = {state: getattr(info, state) for state in ("succeeded", "failed", "cancelled", "dead")}
        self.count.wrong_sums += info.left != 0 or states != Counter(counters)

    def _end(self) -> None:
        """Let workers run until no batch is left, or for ENDING seconds."""
        for actor in self.actors:
            actor.ending = True
        threads = self._start()
        deadline = Deadline(ENDING)
        while not deadline.over and not self._errors and self._open():
            time.sleep(0.05)
        self._join(threads)
        self.count.hanging = len(self._open())

    def _open(self) -> list[str]:
        deleting = {name for name, batch in list(self.facts.batches.items()) if batch.deleting}
        return [name for name in list(self.facts.batches) if name not in deleting]


def run(server: str, fsync: str, cuts: int, seed: int, *, ours: bool = True, keep: bool = False) -> PowerCount:
    """Cut the power of a server so often, and count.

    Raises:
        Missing: this machine does not have the server.
        NoCompiler: this machine cannot build the library that notes each fsync.
        ServerError: the server did not start after a cut.
    """
    count = PowerCount(server, fsync, ours, seed)
    directory = Path(tempfile.mkdtemp(prefix="power-"))
    started_at = time.monotonic()
    Cuts(count, directory).run(cuts)
    count.seconds = round(time.monotonic() - started_at, 1)
    if not keep and not count.broken:
        with suppress(OSError):
            shutil.rmtree(directory)
    return count
