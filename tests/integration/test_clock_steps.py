"""The server's clock is set forward and back by an hour while workers hold messages and others wait for their time."""

import shutil
import struct
import time

import pytest

from benchmarks.chaos.node import library
from gristmill.broker import leases
from tests.conftest import until
from tests.support.servers import needed, redis_server, running
from tests.support.transport_bench import Bench

HOUR = 3600
#: Seconds; a lease of the bench lasts 2.
LONG = 5
#: A producer that puts a message 50 times a second while the long tasks run; prints the number of all.
PUTTING = f"""
number, end = 3, time.monotonic() + {LONG}
while time.monotonic() < end:
    mark.delay(number)
    number += 1
    time.sleep(0.02)
print(number)
"""


class Clock:
    """The clock of a server, which has the file mapped."""

    def __init__(self, path):
        self.path = path
        path.write_bytes(struct.pack("@l", 0))

    def step(self, seconds):
        with self.path.open("r+b") as file:
            file.write(struct.pack("@l", round(1e6 * seconds)))


@pytest.fixture
def clock(tmp_path):
    return Clock(tmp_path / "clock")


@pytest.fixture
def bench(tmp_path, clock):
    """A server that goes by the clock, and a bench on it."""
    needed(shutil.which("cc"), "a C compiler")
    start = tmp_path / "server"
    start.write_text(
        f'#!/bin/sh\nLD_PRELOAD={library(tmp_path, "clock")} CLOCK_FILE={clock.path} exec {redis_server()} "$@"\n'
    )
    start.chmod(0o755)
    with running(str(start), tmp_path / "data") as server:
        bench = Bench(server.url, tmp_path)
        yield bench
        bench.close()


def stepped(bench, clock, seconds):
    """Set the clock; the server says that it is so."""
    before = bench.client.time()[0]
    clock.step(seconds)
    until(lambda: abs(bench.client.time()[0] - before - seconds) < 60)


def renewed(bench):
    """Wait until leases are renewed."""
    latest = lambda: bench.client.hget(f"{bench.prefix}gm1:renewals", "renewed")  # noqa: E731
    before = latest()
    until(lambda: latest() != before, what="a renewal")


@pytest.mark.parametrize("seconds", [HOUR, -HOUR])
def test_what_workers_hold_stays_theirs(bench, clock, seconds):
    for _ in range(2):
        bench.worker("threads", 2)
    bench.send(f"for n in range(3): mark.delay(n, {LONG})")
    until(lambda: len(bench.begun()) == 3, 60, "the long tasks")
    stepped(bench, clock, seconds)
    # Whoever takes renews its own lease, and nobody else's.
    number = int(bench.send(PUTTING))
    until(lambda: set(bench.done()) == set(range(number)) and bench.standing() == 0, 60)
    assert bench.begun() == list(range(number))


def test_whoever_looks_first_after_a_step_takes_nothing_of_those_that_live(bench, clock):
    """It has renewed its own lease with a take, and the others had no time to renew theirs."""
    bench.send("mark.delay(1)")
    with bench.connect() as connection:
        call = connection.default_channel.scripts.call

        def renew(consumer):
            call("renew", consumer=consumer, queues=["q"])
            call("unbroken", lease=2000)

        def take(consumer):
            return call("take", consumer=consumer, credit=1, create=True, queues=["q"], tags=[])[2]

        def reclaimed(by):
            return call("reclaim", caller=by, silent=2000, most=10, queues=["q"])[0]

        renew("living:1")
        assert take("living:1")
        renew("living:2")
        stepped(bench, clock, HOUR)
        assert take("living:2") == []
        assert reclaimed("living:2") == 0
        # A worker that notes no gap has renewed first, as those of the version before.
        now = round(1000 * bench.client.time()[0])
        bench.client.hset(f"{bench.prefix}gm1:renewals", mapping={"first": now, "latest": now})
        assert reclaimed("living:2") == 0
        # One that is silent from now on is dead a lease after the gap was seen.
        since = time.monotonic()
        renew("living:2")
        assert reclaimed("living:2") == 0
        until(lambda: (renew("living:2"), reclaimed("living:2") == 1)[1], 30, "the end of a lease")
        assert time.monotonic() - since >= 1.9


def test_what_a_dead_worker_held_comes_back_although_its_lease_lies_in_the_future(bench, clock):
    bench.send("mark.delay(1)")
    with bench.connect() as connection:
        call = connection.default_channel.scripts.call
        call("renew", consumer="dead:1", queues=["q"])
        call("take", consumer="dead:1", credit=1, create=True, queues=["q"], tags=[])
        call("unbroken", lease=2000)
    stepped(bench, clock, -HOUR)
    bench.worker("threads", 1)
    until(lambda: bench.done() == [1] and bench.standing() == 0, 60)


def test_a_countdown_is_not_an_hour_late_once_the_clock_was_set_back(bench, clock):
    bench.worker("threads", 1)
    bench.send("mark.delay(0)")
    until(lambda: bench.done() == [0], 60)
    renewed(bench)
    since = time.monotonic()
    bench.send(f"mark.apply_async((1,), countdown={LONG})")
    stepped(bench, clock, -HOUR)
    until(lambda: bench.done() == [0, 1], 60)
    assert time.monotonic() - since >= LONG


def taken_unseen(channel, messages=1):
    """Have the channel's process take messages without the answer; returns its lease and their tags."""
    lease = channel.lease
    lease.queues.add("q")
    taken = lease.scripts.call("take", consumer=lease.consumer, credit=messages, create=True, queues=["q"], tags=[])[2]
    return lease, taken[::5]


def test_a_lost_answer_is_missed_although_the_clock_was_set_back(bench, clock):
    bench.send("mark.delay(1)")
    with bench.connect() as connection:
        lease, tags = taken_unseen(connection.default_channel)
        lease.scripts.call("unbroken", lease=2000)
        stepped(bench, clock, -HOUR)
        assert until(lambda: lease.unaccounted(0.5), 20) == tags


def test_an_answer_that_nobody_has_read_yet_is_not_lost_once_the_clock_was_set_forward(bench, clock):
    bench.send("mark.delay(1)")
    with bench.connect() as connection:
        connection.default_channel.lease.reading[1] = time.monotonic()
        lease, tags = taken_unseen(connection.default_channel)
        stepped(bench, clock, HOUR)
        end = time.monotonic() + 2 * leases.MISSED_SECONDS
        while time.monotonic() < end:
            assert lease.unaccounted(1) == []
        del lease.reading[1]
        assert until(lambda: lease.unaccounted(1)) == tags
