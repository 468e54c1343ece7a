"""What bounds the items of a batch, on a real server."""

import json

import pytest

from gristmill.tasks import catalog
from gristmill.worker import quarantine
from gristmill.worker.runner import Runner
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

    yield run
    for process in quarantine._free:
        process.close()


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


def measured(ledger, count, seconds=0.001, **fields):
    """A batch of which an item has been measured; its 16 slots take more than one chunk each."""
    submit(ledger, "b", count, **fields)
    chunk = pop(ledger)
    ledger.record(chunk, outcomes(ledger.take(chunk, WORKER).items), seconds * chunk.count, WORKER)


class TestMaxRunning:
    @pytest.mark.parametrize(
        ("max_running", "chunks"),
        [("3", 3), ("20", 20), ("50%", 8), ("1%", 1), ("33.3%", 5), ("+2", 18), ("+0", 16), ("200%", 32), ("1000", 32)],
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
                _, following, work = ledger.record_and_go_on(chunk, together, 0.001 * len(items), WORKER)
                if following:
                    ledger.record(following, outcomes(work.items), 0.001 * len(work.items), WORKER)
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
        assert sum(in_flight(ledger)) == 4
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
