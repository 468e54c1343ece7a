"""Tears the end of an AOF at every byte of a step's writes: each script is whole or not there, and stays so.

`lives.py` has the steps. For one of them, the file ends at each byte that it wrote.
"""

import os
import random
import shutil
import signal
import tempfile
import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from redis import Redis

from benchmarks.chaos.power.commands import transactions
from benchmarks.chaos.power.lives import LIFE_OF, Life
from benchmarks.chaos.power.servers import server_of
from gristmill.server.aof import appended
from gristmill.server.private import PrivateServer
from gristmill.server.waiting import Deadline


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
    stride: int | None = 1,
    seed: int = 1,
    within: float | None = None,
    first: int | None = None,
) -> TearCount:
    """Tear at every byte that a step wrote, or at every `stride`-th one; None: in each command of its last script.

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
            life, start = _live(client, private, script)
        _kill(private)
        data = appended(private.directory)[-1].read_bytes()
        image = directory / "image"
        shutil.copytree(private.directory / "appendonlydir", image)
        whole = _whole(private, image, start)
        places = _in_commands(data) if stride is None else _bytes(start, len(data), stride, first, seed)
        for at in places:
            if deadline.over:
                break
            _tear(private, image, at, count, whole, life)
    shutil.rmtree(directory)
    count.seconds = round(time.monotonic() - started_at, 1)
    return count


def _bytes(start: int, end: int, stride: int, first: int | None, seed: int) -> Iterable[int]:
    if first is None:
        first = random.Random(seed).randrange(max(1, min(stride, end - start)))
    return range(start + first, end + 1, stride)


def _in_commands(data: bytes) -> Iterable[int]:
    """The last byte of each command that follows another one in the last script that wrote with several."""
    *_, last = (step for step in transactions(data) if len(step.commands) > 1)
    return [end - 1 for end in last.ends[2:-1]]


def _live(client: Any, private: PrivateServer, script: str) -> tuple[type[Life], int]:
    """Live up to `script`; whose life it is, and how long the file was before it."""
    life = LIFE_OF[script](client)
    life.begin()
    for name in life.steps[: life.steps.index(script)]:
        getattr(life, name)()
    size = appended(private.directory)[-1].stat().st_size
    getattr(life, script)()
    return type(life), size


def _dump(private: PrivateServer) -> dict[bytes, Any]:
    """All that stands on the server and does not expire."""
    client: Any
    with Redis.from_url(private.url) as client:
        keys = [key for key in client.scan_iter("gm1:*") if client.ttl(key) == -1]
        return {key: _VALUES[client.type(key)](client, key) for key in keys}


_VALUES: dict[bytes, Callable[[Any, bytes], Any]] = {
    b"string": lambda client, key: client.get(key),
    b"hash": lambda client, key: client.hgetall(key),
    b"set": lambda client, key: client.smembers(key),
    b"zset": lambda client, key: client.zrange(key, 0, -1, withscores=True),
    b"list": lambda client, key: client.lrange(key, 0, -1),
    b"stream": lambda client, key: (client.xrange(key), [_pending(client, key, each) for each in _groups(client, key)]),
}


def _groups(client: Any, key: bytes) -> list[dict[str, Any]]:
    return list(client.xinfo_groups(key))


def _pending(client: Any, key: bytes, group: dict[str, Any]) -> Any:
    """What was given to a consumer of a group, how often, and how far the group has read."""
    entries = client.xpending_range(key, group["name"], "-", "+", 1000)
    deliveries = [(each["message_id"], each["consumer"], each["times_delivered"]) for each in entries]
    return group["name"], group["last-delivered-id"], deliveries


def _kill(private: PrivateServer) -> None:
    assert private.pid
    os.kill(private.pid, signal.SIGKILL)
    while private.alive:
        time.sleep(0.005)


def _whole(private: PrivateServer, image: Path, start: int) -> list[dict[bytes, Any]]:
    """All that may stand: what does where the file ends behind a script, from `start` on."""
    states = []
    data = (image / appended(private.directory)[-1].name).read_bytes()
    for at in [start, *(step.end for step in transactions(data) if step.end > start)]:
        _end_at(private, image, at)
        states.append(_dump(private))
        _kill(private)
    return states


def _end_at(private: PrivateServer, image: Path, at: int) -> None:
    """Start the server with a file that ends at byte `at`."""
    folder = private.directory / "appendonlydir"
    shutil.rmtree(folder)
    shutil.copytree(image, folder)
    os.truncate(appended(private.directory)[-1], at)
    private.restart()


def _tear(
    private: PrivateServer,
    image: Path,
    at: int,
    count: TearCount,
    whole: Sequence[dict[bytes, Any]],
    life: type[Life],
) -> None:
    count.tears += 1
    _end_at(private, image, at)
    with Redis.from_url(private.url, decode_responses=True) as client:
        client.set("answered", at)
        client.eval("redis.call('SET', 'one', 1) redis.call('SET', 'two', 2)", 0)
    _kill(private)
    private.restart()
    with Redis.from_url(private.url, decode_responses=True) as client:
        # Nothing is torn any more: without a flush for each write, this takes half the time.
        client.config_set("appendfsync", "no")
        is_half = _dump(private) not in whole
        count.lost += client.get("answered") != str(at)
        count.halves += is_half
        now = life(client)
        now.once = not is_half
        ends = now.ends()
        count.mended += is_half and ends
        count.hanging += not ends
    _kill(private)
