"""Tears the end of an AOF at every byte of a script's writes: the script is whole or not there, and stays so."""

import os
import random
import shutil
import signal
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from redis import Redis

from benchmarks.chaos.power.commands import Transaction, transactions
from benchmarks.chaos.power.load import FIELDS, QUEUE
from benchmarks.chaos.power.servers import server_of
from gristmill.batches.chunk import Chunk, Outcome
from gristmill.batches.ledger import Ledger
from gristmill.batches.repair import Repair
from gristmill.config.settings import load
from gristmill.server.aof import newest
from gristmill.server.private import PrivateServer

NAME, WORKER, ITEMS = "torn", "cpu@here", 8


@dataclass(slots=True)
class TearCount:
    """What became of a server: `tears` were made; `halves` are states that are neither before nor after the script.

    `lost` are writes that were answered after the first start and gone after the second; `mended` are the halves that
    `doctor --repair` mends, so that the batch ends.
    """

    server: str
    ours: bool
    version: str = ""
    tears: int = 0
    halves: int = 0
    lost: int = 0
    mended: int = 0
    seconds: float = 0.0

    @property
    def broken(self) -> list[str]:
        """What was promised and did not hold."""
        wrong = [f"{self.halves - self.mended} halves not mended"] if self.halves > self.mended else []
        return wrong + ([f"{self.halves} halves, {self.lost} lost"] if self.ours and (self.halves or self.lost) else [])


def run(server: str, *, ours: bool = True, stride: int = 1, seed: int = 1) -> TearCount:
    """Tear at every byte of the last script, or at every `stride`-th one from a random start.

    Raises:
        Missing: this machine does not have the server.
    """
    count, started_at = TearCount(server, ours), time.monotonic()
    directory = Path(tempfile.mkdtemp(prefix="tear-"))
    with server_of(server, directory, "always", ours=ours) as private:
        with Redis.from_url(private.url, decode_responses=True) as client:
            info: dict[str, Any] = client.info("server")
            count.version = str(info.get("valkey_version") or info["redis_version"])
            _live(client)
            before = _dump(client)
            _record(client)
            after = _dump(client)
        _kill(private)
        step = _longest(private)
        image = directory / "image"
        shutil.copytree(private.directory / "appendonlydir", image)
        first = random.Random(seed).randrange(min(stride, step.end - step.start))
        for at in range(step.start + 1 + first, step.end, stride):
            _tear(private, image, at, count, [before, after])
    shutil.rmtree(directory)
    count.seconds = round(time.monotonic() - started_at, 1)
    return count


def _longest(private: PrivateServer) -> Transaction:
    """The writes of the last script: those of `record`."""
    return [step for step in transactions(newest(private.directory).read_bytes()) if len(step.commands) > 1][-1]


def _live(client: Any) -> None:
    ledger = Ledger(client, load({}))
    ledger.create(NAME, "token", FIELDS)
    ledger.heartbeat(WORKER, {"queue": QUEUE, "slots": 2}, [])
    ledger.append(NAME, "token", 0, [str(index) for index in range(ITEMS)], "sha")
    ledger.end(NAME, "token", 0)


def _record(client: Any) -> None:
    """Run the first chunk in flight."""
    ledger = Ledger(client, load({}))
    first, items = map(int, client.zrange(ledger.key(NAME, "in_flight"), 0, 0)[0].split(":"))
    chunk = Chunk(NAME, int(ledger.state(NAME)["epoch"]), first, items)
    work = ledger.take(chunk, WORKER)
    if work:
        outcomes = [Outcome(item.index, "succeeded", item.attempt, "1", 0.1, WORKER, 1) for item in work.items]
        ledger.record(chunk, outcomes, 0.1, WORKER)


def _dump(client: Any) -> dict[str, Any]:
    """What a batch is: all keys of it but those of `take`, which runs just before the script."""
    ledger = Ledger(client, load({}))
    state = {name: text for name, text in ledger.state(NAME).items() if not name.startswith("measured")}
    return {
        "state": state,
        "done": client.bitcount(ledger.key(NAME, "done")),
        "out": client.hlen(ledger.key(NAME, "out:0")),
    }


def _kill(private: PrivateServer) -> None:
    assert private.pid
    os.kill(private.pid, signal.SIGKILL)
    while private.alive:
        time.sleep(0.005)


def _tear(private: PrivateServer, image: Path, at: int, count: TearCount, whole: Sequence[dict[str, Any]]) -> None:
    folder = private.directory / "appendonlydir"
    shutil.rmtree(folder)
    shutil.copytree(image, folder)
    os.truncate(newest(private.directory), at)
    count.tears += 1
    private.restart()
    with Redis.from_url(private.url, decode_responses=True) as client:
        client.set("answered", at)
        client.eval("redis.call('SET', 'one', 1) redis.call('SET', 'two', 2)", 0)
    _kill(private)
    private.restart()
    with Redis.from_url(private.url, decode_responses=True) as client:
        is_whole = _dump(client) in whole
        count.lost += client.get("answered") != str(at)
        if not is_whole:
            count.halves += 1
            count.mended += _mends(client)
    _kill(private)


def _mends(client: Any) -> bool:
    """Mend the batch, and run it to its end; whether it ends with every item."""
    ledger, repair = Ledger(client, load({})), Repair(client, load({}))
    repair.mend(NAME)
    repair.queues([QUEUE], mend=True)
    for _ in range(3 * ITEMS):
        state = ledger.state(NAME)
        if "finished" in state:
            return int(state["succeeded"]) == ITEMS == client.bitcount(ledger.key(NAME, "done"))
        ledger.heartbeat(WORKER, {"queue": QUEUE, "slots": 2}, [])
        if client.exists(ledger.key(NAME, "in_flight")):
            _record(client)
    return False
