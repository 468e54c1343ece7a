"""Tears the end of an AOF at every byte of a script's writes: the script is whole or not there, and stays so.

The life of a small batch is made of its scripts. For each of them, the file ends at each byte that it wrote.
"""

import os
import random
import shutil
import signal
import tempfile
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from redis import Redis

from benchmarks.chaos.power.load import FIELDS, QUEUE
from benchmarks.chaos.power.servers import server_of
from gristmill.batches.chunk import Chunk, Outcome
from gristmill.batches.control import Control
from gristmill.batches.ledger import Ledger
from gristmill.batches.repair import Repair
from gristmill.config.settings import load
from gristmill.server.aof import newest
from gristmill.server.private import PrivateServer
from gristmill.server.waiting import Deadline

NAME, WORKER, ITEMS = "torn", "cpu@here", 8


@dataclass(slots=True)
class TearCount:
    """What became of a server: `tears` were made; `halves` are states that are neither before nor after the script.

    `lost` are writes that were answered after the first start and gone after the second. `hanging` are tears after
    which the batch does not end with every item, although `doctor --repair` ran; `mended` are the halves without them.
    """

    server: str
    ours: bool
    script: str
    version: str = ""
    tears: int = 0
    halves: int = 0
    lost: int = 0
    mended: int = 0
    hanging: int = 0
    seconds: float = 0.0

    @property
    def broken(self) -> list[str]:
        """What was promised and did not hold."""
        wrong = [f"{self.hanging} batches do not end"] if self.hanging else []
        return wrong + ([f"{self.halves} halves, {self.lost} lost"] if self.ours and (self.halves or self.lost) else [])


def run(
    server: str,
    script: str = "record",
    *,
    ours: bool = True,
    stride: int = 1,
    seed: int = 1,
    within: float | None = None,
    first: int | None = None,
) -> TearCount:
    """Tear at every byte that a script wrote, or at every `stride`-th one.

    The first is byte `first` of them (default: a random one of the first `stride`); no tear begins after `within`
    seconds.

    Raises:
        Missing: this machine does not have the server.
    """
    count, started_at, deadline = TearCount(server, ours, script), time.monotonic(), Deadline(within)
    directory = Path(tempfile.mkdtemp(prefix="tear-"))
    with server_of(server, directory, "always", ours=ours) as private:
        with Redis.from_url(private.url, decode_responses=True) as client:
            info: dict[str, Any] = client.info("server")
            count.version = str(info.get("valkey_version") or info["redis_version"])
            whole, start = _live(client, private, script)
        _kill(private)
        end = newest(private.directory).stat().st_size
        image = directory / "image"
        shutil.copytree(private.directory / "appendonlydir", image)
        if first is None:
            first = random.Random(seed).randrange(max(1, min(stride, end - start)))
        for at in range(start + first, end + 1, stride):
            if deadline.over:
                break
            _tear(private, image, at, count, whole)
    shutil.rmtree(directory)
    count.seconds = round(time.monotonic() - started_at, 1)
    return count


def _live(client: Any, private: PrivateServer, script: str) -> tuple[list[dict[str, Any]], int]:
    """Live up to `script`; what the batch is before and after it, and how long the file was before it."""
    for name, step in SCRIPTS.items():
        before, size = _dump(client), newest(private.directory).stat().st_size
        step(client)
        if name == script:
            return [before, _dump(client)], size
    raise AssertionError(script)


def _create(client: Any) -> None:
    Ledger(client, load({})).create(NAME, "token", FIELDS)


def _append(client: Any) -> None:
    ledger = Ledger(client, load({}))
    ledger.heartbeat(WORKER, {"queue": QUEUE, "slots": 2}, [])
    ledger.append(NAME, "token", 0, [str(index) for index in range(ITEMS)], "sha")


def _end(client: Any) -> None:
    Ledger(client, load({})).end(NAME, "token", 0)


def _chunk(client: Any) -> Chunk:
    """The first chunk in flight."""
    ledger = Ledger(client, load({}))
    first, items = map(int, client.zrange(ledger.key(NAME, "in_flight"), 0, 0)[0].split(":"))
    return Chunk(NAME, int(ledger.state(NAME)["epoch"]), first, items)


def _take(client: Any) -> Any:
    return Ledger(client, load({})).take(_chunk(client), WORKER)


def _record(client: Any) -> None:
    """Run the first chunk in flight; the item of index 0 fails when it runs for the first time."""
    chunk, work = _chunk(client), _take(client)
    if work:
        states = ["failed" if item.index == 0 and item.attempt == 1 else "succeeded" for item in work.items]
        outcomes = [
            Outcome(item.index, state, item.attempt, "1", 0.1, WORKER, 1)
            for item, state in zip(work.items, states, strict=True)
        ]
        Ledger(client, load({})).record(chunk, outcomes, 0.1, WORKER)


def _pause(client: Any) -> None:
    Control(client, load({})).pause(NAME)


def _resume(client: Any) -> None:
    Control(client, load({})).resume(NAME)


def _cancel(client: Any) -> None:
    Control(client, load({})).cancel(NAME, "torn")


#: The life of a batch, script by script.
SCRIPTS: dict[str, Callable[[Any], Any]] = {
    "create": _create,
    "append": _append,
    "end": _end,
    "take": _take,
    "record": _record,
    "pause": _pause,
    "resume": _resume,
    "cancel": _cancel,
}


def _dump(client: Any) -> dict[str, Any]:
    """What a batch is: all keys of it but those of `take`, which changes nothing that matters."""
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
        # Nothing is torn any more: without a flush for each write, this takes half the time.
        client.config_set("appendfsync", "no")
        is_half = _dump(client) not in whole
        count.lost += client.get("answered") != str(at)
        count.halves += is_half
        ends = _ends(client)
        count.mended += is_half and ends
        count.hanging += not ends
    _kill(private)


def _ends(client: Any) -> bool:
    """Mend the batch as `doctor --repair` does, and have it go on to its end; whether it ends with every item."""
    settings = load({})
    ledger, repair = Ledger(client, settings), Repair(client, settings)
    if ledger.state(NAME):
        repair.mend(NAME)
    repair.queues([QUEUE], mend=True)
    # Whoever had no answer repeats the call.
    feed = ledger.create(NAME, "token", FIELDS) if "cancelling" not in ledger.state(NAME) else None
    if feed and not feed.input_ended:
        ledger.append(NAME, "token", feed.stored, [str(index) for index in range(feed.stored, ITEMS)], "sha")
        ledger.end(NAME, "token", 0)
    _resume(client)
    for _ in range(3 * ITEMS):
        state = ledger.state(NAME)
        if "finished" in state:
            ends = sum(int(state.get(name) or 0) for name in ("succeeded", "failed", "cancelled", "dead"))
            return int(state["stored"]) == ITEMS == ends == client.bitcount(ledger.key(NAME, "done"))
        ledger.heartbeat(WORKER, {"queue": QUEUE, "slots": 2}, [])
        if client.exists(ledger.key(NAME, "in_flight")):
            _record(client)
    return False
