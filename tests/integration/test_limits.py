"""What bounds the items of a batch, on a real server."""

import json
from functools import partial
from itertools import pairwise

import pytest

from gristmill.batches.control import Control
from gristmill.batches.repair import Repair
from gristmill.server.scripts import server_time
from gristmill.tasks import catalog
from gristmill.worker.slot.runner import Runner
from tests.support.ledger import (
    FIELDS,
    WORKER,
    enlist,
    heal,
    heartbeat,
    info,
    let_time_pass,
    outcomes,
    pop,
    run_all,
    submit,
)
from tests.support.limited_tasks import dozing, sleepy


@pytest.fixture
def run(here, monkeypatch):
    """Runs the one item of a batch of a task; its outcome."""
    monkeypatch.setenv("GRISTMILL_TASK_MODULES", "tests.support.limited_tasks")
    catalog.load().update({task.name: task for task in (sleepy, dozing)})

    def run(task, suspect=False, **fields):
        enlist(here)
        is_async = {"is_async": 1} if task.is_async else {}
        here.create("b", "token", {**FIELDS, "task": task.name, "parameter": "seconds", **is_async, **fields})
        here.append("b", "token", 0, ["0.3"], "sha")
        Runner(here, here.settings).run(pop(here), WORKER, suspect)
        header, value = here.client.hget(here.key("b", "out:0"), "0").split("\n")
        return json.loads(header)["state"], json.loads(value)

    return run


@pytest.mark.parametrize("task", [sleepy, dozing], ids=["process", "coroutine"])
class TestTimeLimitOfABatch:
    @pytest.mark.parametrize("suspect", [False, True], ids=["", "in quarantine"])
    def test_it_wins_over_the_tasks(self, here, run, task, suspect):
        assert run(task, suspect, time_limit=30, retries=0) == ("succeeded", 0.3)
        assert info(here, "b").time_limit == 30

    @pytest.mark.parametrize(("limit", "words"), [({"time_limit": 0.2}, "0.2 s"), ({}, "0.1 s")])
    def test_the_item_ends_at_it_or_at_the_tasks(self, run, task, limit, words):
        state, error = run(task, retries=0, **limit)
        assert (state, error["type"]) == ("failed", "TimeLimitExceeded")
        assert words in error["message"]

    def test_0_is_no_limit(self, run, task):
        assert run(task, time_limit=0, retries=0) == ("succeeded", 0.3)


def in_flight(ledger):
    """The items of each chunk in flight that have no outcome."""
    chunks = [member.split(":") for member in ledger.client.zrange(ledger.key("b", "in_flight"), 0, -1)]
    done = ledger.key("b", "done")
    return [
        int(count) - ledger.client.bitcount(done, int(first), int(first) + int(count) - 1, "BIT")
        for first, count in chunks
    ]


def handed_out(ledger):
    return info(ledger, "b").done + sum(in_flight(ledger))


def measured(ledger, count, seconds=0.001, **fields):
    """A batch of which an item has been measured, for 16 slots."""
    submit(ledger, "b", count, **fields)
    chunk = pop(ledger)
    ledger.record(chunk, outcomes(ledger.take(chunk, WORKER).items), seconds * chunk.count, WORKER)


class TestMaxRunning:
    @pytest.mark.parametrize(
        ("max_running", "chunks"),
        [("3", 3), ("20", 16), ("50%", 8), ("1%", 1), ("33.3%", 5), ("+2", 16), ("+0", 16), ("200%", 16), ("1000", 16)],
    )
    def test_so_many_chunks_are_in_flight(self, ledger, max_running, chunks):
        measured(ledger, 10_000, max_running=max_running)
        assert len(in_flight(ledger)) == chunks
        assert info(ledger, "b").held_by == ("max_running" if chunks < 16 else None)

    def test_whatever_becomes_of_its_items(self, ledger):
        submit(ledger, "b", 60, max_running="3", retries=1)
        while info(ledger, "b").left:
            chunk = pop(ledger)
            if chunk is None:
                let_time_pass(ledger, "b")
            else:
                items = ledger.take(chunk, WORKER).items
                failures = [item for item in items if item.attempt == 1 and item.index % 7 == 0]
                fine = [item for item in items if item not in failures]
                together = sorted(
                    outcomes(fine) + outcomes(failures, "failed", 1000), key=lambda outcome: outcome.index
                )
                _, work = ledger.record_and_go_on(chunk, together, 0.001 * len(items), WORKER)
                if work:
                    ledger.record(work.chunk, outcomes(work.items), 0.001 * len(work.items), WORKER)
            assert len(in_flight(ledger)) <= 3
        assert (info(ledger, "b").succeeded, info(ledger, "b").duplicates) == (60, 0)

    def test_its_last_chunks_are_cut_for_as_many_slots(self, ledger):
        measured(ledger, 1000, max_running="2")
        sizes = [chunk.count for chunk in run_all(ledger)]
        # A share of what is left for each of the two; for each of 16 slots, they would shrink to a chunk's least.
        assert max(sizes) > 100
        assert sizes[-1] < 20

    def test_a_share_follows_the_fleet(self, ledger):
        measured(ledger, 10_000, max_running="50%")
        ledger.heartbeat("cpu@b", heartbeat(8), [])
        assert len(in_flight(ledger)) == 12
        ledger._call("leave", worker="cpu@b")
        run_waiting(ledger)
        assert len(in_flight(ledger)) <= 8

    def test_an_item_of_several_slots_counts_once(self, ledger):
        submit(ledger, "b", 1000, max_running="50%", slots=4, memory=0)
        assert len(in_flight(ledger)) == 2

    def test_items_of_an_async_task_count_one_by_one(self, ledger):
        ledger.heartbeat(WORKER, {**heartbeat(16), "async_items": 16}, [])
        ledger.create("b", "token", {**FIELDS, "is_async": 1, "max_running": "20"})
        ledger.append("b", "token", 0, [str(n) for n in range(300)], "sha")
        ledger.end("b", "token", 0)
        assert sorted(in_flight(ledger)) == [2, 3, 3, 3, 3, 3, 3]
        assert info(ledger, "b").held_by == "max_running"
        chunk = pop(ledger)
        items = ledger.take(chunk, WORKER).items
        ledger.record(chunk, outcomes(items[:2]), 0.1, WORKER, -1)
        assert sorted(in_flight(ledger)) == [1, 2, 2, 3, 3, 3, 3, 3]
        ledger.record(chunk, outcomes(items[2:]), 0.1, WORKER)
        while info(ledger, "b").left:
            run_waiting(ledger)
            assert sum(in_flight(ledger)) <= 20
        assert info(ledger, "b").succeeded == 300

    def test_attempts_of_async_items_too(self, ledger):
        ledger.heartbeat(WORKER, {**heartbeat(16), "async_items": 16}, [])
        ledger.create("b", "token", {**FIELDS, "is_async": 1, "max_running": "4", "retries": 1})
        ledger.append("b", "token", 0, [str(n) for n in range(12)], "sha")
        ledger.end("b", "token", 0)
        for _ in range(12):
            chunk = pop(ledger)
            ledger.record(chunk, outcomes(ledger.take(chunk, WORKER).items, "failed", 1000), 0.1, WORKER)
        let_time_pass(ledger, "b")
        assert 1 <= sum(in_flight(ledger)) <= 4
        while info(ledger, "b").left:
            run_waiting(ledger)
            heal(ledger)
        assert (info(ledger, "b").succeeded, info(ledger, "b").held_by) == (12, None)


def run_waiting(ledger):
    """Run the chunks whose messages wait now, and not those that follow."""
    chunks = []
    while chunk := pop(ledger):
        chunks.append(chunk)
    for chunk in chunks:
        ledger.record(chunk, outcomes(ledger.take(chunk, WORKER).items), 0.001 * chunk.count, WORKER)


class Clock:
    """The server's clock, which a test puts forward; notes for how long nobody asked for what a rate lets."""

    def __init__(self, ledger):
        self.ledger = ledger
        self.started_at = self.asked_at = self.now()
        self.lost = 0.0

    def now(self):
        return server_time(self.ledger.client, self.ledger.settings.prefix)

    def forward(self, seconds):
        for field in ("at", "ahead"):
            self.ledger.client.hincrbyfloat(self.ledger.settings.key("clock"), field, seconds * 1e6)

    def ask(self, seconds):
        """Ask `seconds` seconds later, and for however long the test took; the answer."""
        self.forward(seconds)
        answer = self.ledger.pace()
        now = self.now()
        # What a rate lets is caught up for a quarter of a second.
        self.lost += max(0.0, now - self.asked_at - 0.2)
        self.asked_at = now
        return answer


class TestRate:
    def test_so_many_are_handed_out_in_a_time(self, ledger):
        measured(ledger, 10_000, rate="100/s")
        clock = Clock(ledger)
        before, sizes = handed_out(ledger), []
        while clock.now() < clock.started_at + 5:
            clock.ask(0.05)
            run_waiting(ledger)
            sizes += in_flight(ledger)
        elapsed, items = clock.now() - clock.started_at, handed_out(ledger) - before
        assert 98 * (elapsed - clock.lost) - 10 <= items <= 100 * (elapsed + 0.25) + 1
        assert max(sizes) <= 10, "a chunk is a tenth of a second's worth"
        assert info(ledger, "b").held_by == "rate"

    def test_what_waits_for_slots_is_half_a_second_or_so(self, ledger):
        measured(ledger, 10_000, rate="100/s")
        clock = Clock(ledger)
        run_waiting(ledger)
        for _ in range(100):
            clock.ask(0.1)
        assert 20 <= sum(in_flight(ledger)) <= 75
        assert info(ledger, "b").held_by is None, "slots are lacking"

    def test_each_attempt_counts(self, ledger):
        submit(ledger, "b", 4, rate="60/h", retries=1)
        clock = Clock(ledger)
        starts = []
        while info(ledger, "b").left:
            ledger.heartbeat(WORKER, heartbeat(16), [])
            while chunk := pop(ledger):
                (item,) = ledger.take(chunk, WORKER).items
                starts.append(clock.now())
                bad = item.attempt == 1 and item.index % 2
                ledger.record(chunk, outcomes([item], *(("failed", 10) if bad else ())), 0.1, WORKER)
            clock.forward(7)
        assert len(starts) == 6
        assert min(after - before for before, after in pairwise(starts)) > 59
        assert info(ledger, "b").held_by is None
        assert not ledger.client.exists(ledger.settings.key("pacing"))

    def test_a_heartbeat_says_when_to_ask(self, ledger):
        assert ledger.heartbeat(WORKER, heartbeat(16), [])[3] == -1
        submit(ledger, "b", 100, rate="4/s")
        assert 50 <= ledger.heartbeat(WORKER, heartbeat(16), [])[3] <= 250
        for number in range(7):
            ledger.heartbeat(f"cpu@{number}", heartbeat(1), [])
        assert ledger.heartbeat(WORKER, heartbeat(16), [])[3] >= 400, "the workers share the calls"

    @pytest.mark.parametrize("control", ["pause", "cancel", "delete"])
    def test_nothing_is_handed_out_of_a_batch_that_does_not_go_on(self, ledger, control):
        submit(ledger, "b", 100, rate="1/s")
        assert (len(in_flight(ledger)), info(ledger, "b").held_by) == (1, "rate")
        controls = Control(ledger.client, ledger.settings)
        act = {"pause": controls.pause, "cancel": partial(controls.cancel, reason="by me"), "delete": ledger.delete}
        act[control]("b")
        Clock(ledger).ask(5)
        assert len(in_flight(ledger)) == (1 if control == "pause" else 0)
        assert not ledger.client.exists(ledger.settings.key("pacing"))

    def test_a_batch_that_no_time_would_wake_is_mended(self, ledger):
        submit(ledger, "b", 100, rate="1/s")
        run_waiting(ledger)
        repair = Repair(ledger.client, ledger.settings)
        assert (in_flight(ledger), repair.examine("b")) == ([], {})
        ledger.client.delete(ledger.settings.key("pacing"))
        assert repair.mend("b") == {"wrong_sets": 1}
        Clock(ledger).ask(2)
        assert len(in_flight(ledger)) == 1

    def test_both_limits_hold(self, ledger):
        measured(ledger, 1000, rate="100/s", max_running="2")
        clock = Clock(ledger)
        for _ in range(20):
            clock.ask(0.1)
            assert len(in_flight(ledger)) <= 2
            run_waiting(ledger)
        assert info(ledger, "b").held_by in ("rate", "max_running")
        assert info(ledger, "b").done <= 100 * (clock.now() - clock.started_at + 0.25) + 2
