"""A server whose memory is full drains, producers wait and say so, and in the end nothing is missing."""

import signal
import sys

import pytest

from gristmill.producer.backpressure import FULL
from tests.conftest import until

COUNT = 15_000
ITEMS = "".join(f"0.0000{n}\n" for n in range(100_000, 100_000 + COUNT))


@pytest.fixture
def mill(place):
    """A server without workers, and how to fill it up and empty it."""
    with place.server_only(), place.ledger() as ledger:
        place.environ["GRISTMILL_REDIS_URL"] = place.server().url
        # Beside the server's owner: another home.
        place.environ["GRISTMILL_HOME"] = str(place.path / "other")

        def room(kilobytes):
            """Leave a producer so much room: None, any; 0, less than what is used."""
            used = ledger.client.info("memory")["used_memory"]
            most = 0 if kilobytes is None else int((used + (kilobytes << 10)) / FULL) if kilobytes else 1
            ledger.client.config_set("maxmemory", most)

        place.room = room
        # What every submit leaves in the server is there.
        place.run("submit", "pause", "0").good()
        yield place


def complete(place, name, count):
    info = place.ended(name)
    assert (info.submitted, info.succeeded, info.left, info.duplicates) == (count, count, 0, 0), info
    assert [result.index for result in place.results(name)] == list(range(count)), "lost = 0"


def test_workers_that_start_on_a_full_server_drain_it(mill):
    """Both kinds, with the dashboard; a plain task too."""
    mill.run("submit", "fibonacci", *["12"] * 60, "--name", "c").good()
    mill.run("submit", "pause", *["0.01"] * 60, "--name", "i").good()
    mill.room(0)
    with mill.up("--cpu-slots", "1", "--io-slots", "4"):
        complete(mill, "c", 60)
        complete(mill, "i", 60)


def test_a_producer_that_begins_on_a_full_server_is_refused(mill):
    mill.room(0)
    assert "is full" in mill.run("submit", "fibonacci", "1").refused(code=3)
    plain = mill.process([sys.executable, "-P", "-c", "from gristmill.tasks.pause import pause; pause.delay(0.01)"])
    assert plain.code == 1
    assert "ServerFull" in plain.err
    assert "uncertain" not in plain.err
    mill.room(None)
    mill.run("submit", "fibonacci", "1").good()


def test_a_producer_waits_for_room_and_goes_on(mill):
    items = mill.file("items", ITEMS)
    mill.room(100)
    with mill.start("submit", "pause", "--from", items, "--name", "x") as running:
        running.says("% full (of ")
        running.says("waiting for room, ")
        stored = mill.info("x").submitted
        assert 0 < stored < COUNT
        assert f"waiting for room, {stored:,} items are stored" in running.err
        mill.room(None)
        done = running.end().good()
    assert "there is room again" in done.err
    assert mill.info("x").submitted == COUNT
    with mill.up("io"):
        complete(mill, "x", COUNT)


def test_a_producer_that_waits_can_be_interrupted_and_repeated(mill):
    items = mill.file("items", ITEMS)
    command = ("submit", "pause", "--from", items, "--name", "x")
    mill.room(100)
    with mill.start(*command) as running:
        running.says("waiting for room")
        done = running.end(signal.SIGINT)
        assert done.code == 130
        assert "the same command with --name x goes on" in done.err
        assert "Traceback" not in done.err
    mill.room(None)
    until(lambda: mill.run(*command).code == 0, what="another go")
    assert mill.info("x").submitted == COUNT
    with mill.ledger() as ledger:
        assert [float(item) for _, item in ledger.items("x")] == [float(item) for item in ITEMS.split()]
