"""A server that is killed, and connections that are cut, while a batch is submitted and runs: nothing is missing."""

import json
import os
import signal

import pytest

from tests.conftest import until
from tests.support.proxy import Proxy

COUNT = 30_000
ITEMS = "".join(f"{n % 20}\n" for n in range(COUNT))


def complete(place, count):
    info = place.ended("x", 200)
    assert (info.submitted, info.succeeded, info.left) == (count, count, 0), info
    assert [result.index for result in place.results("x")] == list(range(count)), "lost = 0, each once"
    with place.ledger() as ledger:
        assert "".join(f"{item}\n" for _, item in ledger.items("x")) == ITEMS, "the items are the input's, in its order"


def submitted_again_and_again(place, command, first, **settings):
    """Repeat the command until all is stored; every go that was broken off said so with 3."""
    done, goes = first, 1
    while done.code:
        assert done.code == 3, done
        assert goes < 40, done
        done, goes = place.run(*command, **settings), goes + 1


def killed_server(place):
    """Kill the server; `up` starts another."""
    before = place.server().server_pid
    os.kill(before, signal.SIGKILL)
    return before


@pytest.mark.slow
def test_a_server_that_is_killed_while_a_batch_is_submitted_and_runs(place):
    """The producer is in the middle of its input, and sends more while the server is away."""
    path = place.path / "pipe"
    os.mkfifo(path)
    third = len(ITEMS) // 3
    with place.up("cpu", "--cpu-slots", "2", in_peace=False, GRISTMILL_LEASE_SECONDS="2"):
        with (
            place.start("submit", "fibonacci", "--from", str(path), "--name", "x") as running,
            path.open("w", buffering=1) as pipe,
        ):
            pipe.write(ITEMS[:third])
            for part in (ITEMS[third : 2 * third], ITEMS[2 * third :]):
                goal = place.info("x").done + 500 if "x" in place.names() else 1
                until(lambda: "x" in place.names() and place.info("x").done >= goal, 60, "progress")  # noqa: B023
                before = killed_server(place)
                pipe.write(part)
                until(lambda: place.server().server_pid != before, 60, "another server")  # noqa: B023
            pipe.close()
            first = running.end()
        again = ("submit", "fibonacci", "--from", place.file("items", ITEMS), "--name", "x")
        submitted_again_and_again(place, again, first)
        killed_server(place)
        complete(place, COUNT)


def pids(place):
    with place.ledger() as ledger:
        heartbeats = ledger.client.hgetall(ledger.settings.key("heartbeats"))
    return {name: json.loads(heartbeat)["pid"] for name, heartbeat in heartbeats.items()}


@pytest.mark.slow
def test_a_server_that_lacks_a_replica_is_waited_for(place):
    with place.up("cpu", "io", "--cpu-slots", "1", "--io-slots", "4", in_peace=False):
        place.run("submit", "pause", *["0.1"] * 200, "--name", "x").good()
        until(lambda: place.info("x").succeeded > 20, 60, "progress")
        before = pids(place)
        with place.ledger() as ledger:
            ledger.client.config_set("min-replicas-to-write", 1)
            late = place.run("submit", "pause", "0").refused(code=3)
            assert "has fewer replicas than its min-replicas-to-write" in late
            refusals = int(ledger.client.info("errorstats")["errorstat_NOREPLICAS"]["count"])
            until(
                lambda: int(ledger.client.info("errorstats")["errorstat_NOREPLICAS"]["count"]) > refusals + 20,
                60,
                "refusals",
            )
            ledger.client.config_set("min-replicas-to-write", 0)
        info = place.ended("x")
        assert (info.submitted, info.succeeded, info.duplicates) == (200, 200, 0), info
        assert pids(place) == before, "no worker ended"


def test_a_submit_whose_connections_are_cut_at_random_stores_each_item_once(place):
    command = ("submit", "fibonacci", "--from", place.file("items", ITEMS), "--name", "x")
    with place.server_only():
        with place.ledger() as ledger:
            # Chunks are handed out where there are slots.
            ledger.client.hset(ledger.settings.key("slots"), "cpu", 4)
        url = place.server().url
        port = int(url.rpartition(":")[2].partition("/")[0])
        with Proxy(port, seed=1) as proxy:
            through = {"GRISTMILL_REDIS_URL": url.replace(f":{port}/", f":{proxy.port}/")}
            proxy.cut_often(0.1)
            submitted_again_and_again(place, command, place.run(*command, **through), **through)
            assert proxy.cuts >= 5
        with place.ledger() as ledger:
            assert place.info("x").submitted == COUNT
            assert "".join(f"{item}\n" for _, item in ledger.items("x")) == ITEMS
            sent = int(ledger.state("x")["cursor"])
            chunks = [chunk.split(":") for chunk in ledger.client.zrange(ledger.key("x", "in_flight"), 0, -1)]
            handed = sorted(int(first) + i for first, count in chunks for i in range(int(count)))
            assert handed == list(range(sent)) != [], "each is handed out once"
