"""Lots of short messages for the processes of a real worker: each runs once, whoever is killed, and nobody waits."""

import os
import random
import signal
import time

import psutil
import pytest

from tests.conftest import until
from tests.support.dropin_bench import DropIn

SHORT = 300
#: What a worker logs then.
BROKEN = "Connection to broker lost"


class Noting(DropIn):
    """Its tasks note in a file that they run: what a server has to write is not short."""

    def __init__(self, url, directory):
        self.file = directory / "notes"
        self.file.touch()
        super().__init__(url, directory, TEST_NOTES=str(self.file))

    def noted(self, word):
        lines = [line.split() for line in self.file.read_text().splitlines()]
        return sorted(int(number) for said, number in lines if said == word)

    def begun(self):
        return self.noted("begun")

    def done(self):
        return self.noted("done")


BENCH = Noting


def writes(bench):
    """How often the worker has written messages to its processes."""
    return bench.inspect("stats")["pool"]["writes"]["total"]


def short(bench, first=0, count=SHORT):
    bench.send(f"[jot.delay(n) for n in range({first}, {first + count})]")


@pytest.fixture
def busy(bench):
    """A bench whose worker has run short tasks, and knows that they are short."""
    bench.worker("prefork", 2, 50)
    short(bench)
    bench.ended()
    return bench


def test_short_messages_travel_together_and_none_waits_for_a_long_one(busy):
    assert busy.begun() == busy.done() == list(range(SHORT))
    assert writes(busy) < SHORT
    # Both processes are busy with another task, so that what follows waits, and is given out in lots.
    busy.send("mark.delay(1, hold='both'); mark.delay(2, hold='both')")
    until(lambda: len(busy.said("begun")) == 2, 30, "two tasks")
    # To the worker it is as short as the others of its task.
    busy.send("jot.delay(1000, hold='it'); [jot.delay(n) for n in range(1001, 1061)]")
    until(lambda: len(busy.inspect("reserved")) == 61, 30, "messages that wait in the pool")
    busy.go("both")
    until(lambda: len(busy.done()) == SHORT + 60, 30, "those that came after the long one")
    assert 1000 in busy.begun()
    assert 1000 not in busy.done()
    busy.go("it")
    busy.ended()
    assert busy.begun() == busy.done() == [*range(SHORT), *range(1000, 1061)]


def test_a_message_that_is_revoked_or_expires_while_it_waits_for_a_process_does_not_run(busy):
    busy.send("jot.delay(1000, hold='it'); jot.delay(1001, hold='it')")
    until(lambda: len(busy.begun()) == SHORT + 2, 30, "two long tasks")
    busy.send("mark.apply_async((1,), task_id='r'); mark.apply_async((2,), task_id='x', expires=3); jot.delay(3)")
    expired = time.monotonic() + 3
    until(lambda: len(busy.inspect("reserved")) == 3, 30, "three that wait")
    busy.send("app.control.revoke('r')")
    until(lambda: busy.inspect("revoked") == ["r"], 30, "the revoke")
    until(lambda: time.monotonic() > expired, what="the end of the other one's time")
    busy.go("it")
    busy.ended()
    assert sorted(set(busy.begun()) - set(range(SHORT))) == [1000, 1001]
    assert busy.begun().count(3) == 2
    assert busy.said("begun") == []
    assert busy.ask("[app.AsyncResult(i).state for i in 'rx']") == ["REVOKED", "REVOKED"]


def living_children(worker):
    return [each for each in worker.children() if each.status() != psutil.STATUS_ZOMBIE]


def test_processes_that_are_killed_under_load_lose_nothing_and_run_nothing_else_twice(busy):
    worker, luck, kills = psutil.Process(busy.workers[0].pid), random.Random(19), 4
    short(busy, 1000, 900)
    for number in range(kills):
        until(lambda number=number: len(busy.done()) > SHORT + 200 * (number + 1), 60, "progress")
        child = luck.choice(until(lambda: living_children(worker), what="a process"))
        os.kill(child.pid, signal.SIGKILL)
    busy.ended(120)
    assert sorted(set(busy.done())) == [*range(SHORT), *range(1000, 1900)]
    assert len(busy.begun()) <= SHORT + 900 + kills
    assert busy.dead() == []


def test_workers_that_are_killed_under_load_lose_nothing(busy):
    busy.worker("prefork", 2, 50)
    busy.ready(1)
    short(busy, 1000, 900)
    for number in range(2):
        until(lambda number=number: len(busy.done()) > SHORT + 300 * (number + 1), 60, "progress")
        os.killpg(busy.workers[number].pid, signal.SIGKILL)
        busy.worker("prefork", 2, 50)
    busy.ended(120)
    assert sorted(set(busy.done())) == [*range(SHORT), *range(1000, 1900)]
    assert busy.dead() == []


def test_processes_that_are_replaced_after_some_tasks_give_back_what_they_have_not_begun(bench):
    bench.worker("prefork", 2, 50, "--max-tasks-per-child=20")
    short(bench)
    bench.ended()
    assert bench.begun() == bench.done() == list(range(SHORT))
    assert writes(bench) < SHORT


@pytest.fixture
def behind(bench):
    """A bench of which a process has messages behind a task that is held; its worker does not take them back."""
    bench.go("start")
    bench.worker("prefork", 2, 50, "-I", "tests.support.without_recall,tests.support.held_start")
    short(bench)
    bench.ended()
    bench.send("mark.delay(1, hold='both'); mark.delay(2, hold='both')")
    until(lambda: len(bench.said("begun")) == 2, 30, "two tasks")
    bench.send("jot.delay(1000, hold='it'); [jot.delay(n) for n in range(1001, 1061)]")
    until(lambda: len(bench.inspect("reserved")) == 61, 30, "messages that wait in the pool")
    bench.go("both")
    until(lambda: 1060 in bench.done(), 30, "the last one")
    assert len(bench.done()) < SHORT + 60
    return bench


def cut(bench):
    """Break all connections of the worker."""
    breaks = bench.log().count(BROKEN)
    bench.client.client_kill_filter(_type="normal", skipme=True)
    until(lambda: bench.log().count(BROKEN) > breaks, 30, "a connection that is lost")


def test_what_a_process_has_not_begun_stays_with_it_when_the_connection_breaks(behind):
    cut(behind)
    behind.go("it")
    behind.ended(30)
    assert behind.begun() == behind.done() == [*range(SHORT), *range(1000, 1061)]


@pytest.mark.parametrize("before", [0, 1])
def test_what_a_dead_process_had_not_begun_runs_elsewhere_although_the_connection_breaks(behind, before):
    """Also if it has broken before: the channel that had the messages is gone then."""
    for _ in range(before):
        cut(behind)
        until(lambda: behind.log().count("Connected to") == 2, 30, "another connection")
    behind.send("mark.delay(3, hold='other')")
    until(lambda: behind.said("begun") == ["1", "2", "3"], 30, "a task of the other process")
    worker = psutil.Process(behind.workers[0].pid)
    before = {child.pid for child in living_children(worker)}
    behind.client.delete(f"{behind.prefix}go:start")
    (pid,) = [active["worker_pid"] for active in behind.inspect("active") if active["name"].endswith("jot")]
    os.kill(pid, signal.SIGKILL)
    until(lambda: {child.pid for child in living_children(worker)} - before, 30, "a process in its place")
    cut(behind)
    for name in ("start", "other", "it"):
        behind.go(name)
    behind.ended(30)
    assert behind.done() == [*range(SHORT), *range(1000, 1061)]
    assert behind.begun() == sorted([*behind.done(), 1000])


def test_a_worker_that_ends_hands_back_what_waits(busy):
    worker = busy.workers[0]
    short(busy, 1000, 600)
    until(lambda: len(busy.done()) > SHORT + 50, 60, "progress")
    worker.send_signal(signal.SIGTERM)
    assert worker.wait(60) == 0
    begun = busy.begun()
    assert begun == busy.done()
    assert len(begun) == len(set(begun))
    assert busy.standing() == SHORT + 600 - len(begun)
    busy.worker("prefork", 2, 50)
    started = time.monotonic()
    busy.ended()
    # They were handed back, and did not wait for the end of a lease.
    assert time.monotonic() - started < 20
    assert busy.begun() == busy.done() == [*range(SHORT), *range(1000, 1600)]
