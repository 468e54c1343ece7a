"""A server whose disk is full: all wait and say so, go on once there is room, and nothing is missing."""

import os
import subprocess
from contextlib import suppress

import pytest
from redis.exceptions import RedisError

from gristmill.server.connection import connect
from gristmill.server.home import Home
from gristmill.server.waiting import ONCE
from tests.conftest import until
from tests.support.servers import redis_server, running

pytestmark = pytest.mark.slow

COUNT = 2000
ITEMS = "".join(f"0.02{n:06}\n" for n in range(COUNT))


class Disk:
    """A small disk of its own."""

    def __init__(self, path):
        self.path = path
        self._pad = path / "pad"

    def fill(self):
        """Leave no room for a single byte."""
        with self._pad.open("ab", buffering=0) as file, suppress(OSError):
            while file.write(bytes(4096)):
                pass

    def empty(self):
        self._pad.unlink()


@pytest.fixture
def disk(tmp_path):
    path = tmp_path / "disk"
    path.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=16m", "tmpfs", path]
    if os.geteuid() != 0 or subprocess.run(mount, check=False).returncode:
        pytest.skip("mounting a small disk needs root and leave to mount")
    yield Disk(path)
    subprocess.run(["umount", "-l", path], check=True)


def submitted(place):
    """Two batches, one for each kind of worker."""
    place.run("submit", "pause", "--from", place.file("items", ITEMS), "--name", "io").good()
    place.run("submit", "fibonacci", *["20"] * 100, "--name", "cpu").good()


def complete(place):
    for name, count in (("io", COUNT), ("cpu", 100)):
        info = place.ended(name)
        assert (info.submitted, info.succeeded, info.left) == (count, count, 0), info
        assert [result.index for result in place.results(name)] == list(range(count)), "lost = 0"


@pytest.fixture
def feed(place):
    """A submit that gets its items from a pipe."""
    path = place.path / "pipe"
    os.mkfifo(path)
    with (
        place.start("submit", "pause", "--from", str(path), "--name", "fed") as running,
        path.open("w", buffering=1) as pipe,
    ):
        yield running, pipe


@pytest.fixture
def refusing(place, disk, monkeypatch):
    """A server of its own with `everysec`: on a full disk it lives, and refuses whatever writes."""
    with running(redis_server(), disk.path, appendfsync="everysec", logfile="") as server:
        place.environ["GRISTMILL_REDIS_URL"] = server.url
        monkeypatch.setattr(place, "server", lambda: server)
        yield server


def test_a_server_with_everysec_refuses_and_goes_on(place, disk, refusing, feed):
    producer, pipe = feed
    with connect(refusing.url) as client, place.up("--cpu-slots", "1", "--io-slots", "4"):
        submitted(place)
        print("0.01", file=pipe)
        until(lambda: "fed" in place.names() and place.info("fed").submitted == 1, what="a beginning")
        disk.fill()
        until(lambda: client.info("persistence")["aof_last_write_status"] == "err", what="a full disk")
        print("0.02", file=pipe)
        producer.says("cannot write to its disk")
        producer.says("waiting for room, 1 item is stored")
        assert "cannot write to its disk" in place.run("submit", "pause", "0").refused(code=3)
        (line,) = [row for row in place.run("doctor", "--json").rows if row["check"] == "persistence"]
        assert "failed" in line["advice"]
        assert 0 < place.info("io").done < COUNT
        disk.empty()
        producer.says("there is room again")
        pipe.close()
        producer.end().good()
        complete(place)
        assert place.ended("fed").succeeded == 2


def test_a_server_with_always_ends_itself(disk):
    """That is Redis; the private server, a Valkey, does the same below."""
    redis = running(redis_server(), disk.path, appendfsync="always", logfile="")
    with redis as server, connect(server.url, ONCE) as client:
        disk.fill()
        with pytest.raises(RedisError):
            client.set("key", "x" * 10_000)
        assert server.process.wait(10) == 1


def test_the_private_server_ends_and_is_started_again(place, disk):
    """With `appendfsync always` a server cannot go on: its owner waits for room."""
    place.home = Home(disk.path / "home")
    place.environ["GRISTMILL_HOME"] = str(place.home.path)
    with place.up("--cpu-slots", "1", "--io-slots", "4", in_peace=False) as up:
        submitted(place)
        disk.fill()
        up.says("the server has ended: the disk of ")
        assert "is full: free some space" in place.run("submit", "pause", "0").refused(code=3)
        assert up.err.count("the server has ended") == 1
        disk.empty()
        up.says("the server had died and was started again")
        complete(place)
