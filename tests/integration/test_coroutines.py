"""Coroutine tasks: many items of a slot on one event loop, each with its outcome, its time limit, its cancellation."""

import json
import logging
import threading

import pytest

from gristmill.batches.control import Control
from gristmill.batches.reader import ResultReader
from gristmill.tasks import catalog
from gristmill.tasks.kinds import cpu
from gristmill.worker.kills import end_item
from gristmill.worker.loop import coroutines, event_loop, loop_watch
from gristmill.worker.loop.coroutines import RunInterrupted
from gristmill.worker.loop.places import Places
from gristmill.worker.rare_log import RareLog
from gristmill.worker.slot.runner import Runner, run_named
from tests.conftest import until
from tests.support import waiting_tasks
from tests.support.ledger import FIELDS, WORKER, info, outcomes, pop

FOR = {"queue": "io", "parameter": "n", "is_async": 1}


@pytest.fixture(autouse=True)
def tasks():
    """The tasks are known, and nothing of an earlier test runs."""
    waiting_tasks.cancelled.clear()
    waiting_tasks.running.clear()
    catalog.load().update({name: task for name, task in vars(waiting_tasks).items() if hasattr(task, "is_async")})


def submit(ledger, task, count, **fields):
    """A batch whose chunks have up to 2 x 32 items."""
    ledger.heartbeat(WORKER, {"queue": "io", "slots": 2, "async_items": 32}, [])
    ledger.create("b", "token", {**FIELDS, **FOR, "task": task, **fields})
    ledger.append("b", "token", 0, [str(n) for n in range(count)], "sha")
    ledger.end("b", "token", 0)
    return pop(ledger, "io")


def run(ledger, chunk):
    Runner(ledger, ledger.settings).run(chunk, WORKER)


def results(ledger, count):
    return list(ResultReader(ledger.client, ledger.settings, "b").in_order(0, count))


def in_thread(ledger, chunk):
    """Run a chunk in another thread; what it raised, at its end."""
    raised = []

    def call():
        try:
            run(ledger, chunk)
        except Exception as error:
            raised.append(error)

    thread = threading.Thread(target=call)
    thread.start()
    until(lambda: chunk.message_id in event_loop.event_loop().runs.values(), what="the start of the run")
    return thread, raised


def test_the_items_of_a_chunk_run_side_by_side_and_are_recorded_in_order(ledger):
    chunk = submit(ledger, "wait_together", 60)
    assert chunk.count == 60, "a slot gets twice as many items as it can run at once"
    run(ledger, chunk)
    assert waiting_tasks.most[0] >= 40
    assert [(one.index, one.state, one.value) for one in results(ledger, 60)] == [
        (n, "succeeded", n) for n in range(60)
    ]
    assert info(ledger, "b").left == 0
    assert event_loop.event_loop().runs == {}


def test_one_item_is_cancelled_and_its_neighbours_go_on(ledger):
    chunk = submit(ledger, "wait_for_gate", 3)
    waiting_tasks.gate.clear()
    thread, raised = in_thread(ledger, chunk)
    until(lambda: len(waiting_tasks.running) == 3, what="the start of the items")
    Control(ledger.client, ledger.settings).cancel_item("b", 1, "by me")
    assert end_item("b", 1, None)
    until(lambda: waiting_tasks.cancelled == [1], what="the cancellation")
    waiting_tasks.gate.set()
    thread.join(30)
    assert (raised, [one.state for one in results(ledger, 3)]) == ([], ["succeeded", "cancelled", "succeeded"])
    state = info(ledger, "b")
    assert (state.left, state.duplicates, event_loop.event_loop().runs) == (0, 0, {})
    assert end_item("b", 1, None), "nothing is left to end"


def test_an_item_that_was_cancelled_before_its_turn_does_not_start(ledger, monkeypatch):
    monkeypatch.setattr(event_loop.event_loop(), "places", Places(1))
    chunk = submit(ledger, "wait_for_gate", 3)
    waiting_tasks.gate.clear()
    thread, _ = in_thread(ledger, chunk)
    until(lambda: waiting_tasks.running == [0], what="the start of the first item")
    Control(ledger.client, ledger.settings).cancel_item("b", 1, "by me")
    assert end_item("b", 1, None)
    waiting_tasks.gate.set()
    thread.join(30)
    assert [one.state for one in results(ledger, 3)] == ["succeeded", "cancelled", "succeeded"]
    assert waiting_tasks.running == [0, 2]
    assert info(ledger, "b").left == 0


def test_a_batch_of_another_kind_of_task_is_cut_as_before(ledger):
    assert submit(ledger, "pause", 60, is_async=0).count == 60
    ledger.delete("b")
    fields = {name: value for name, value in FOR.items() if name != "is_async"}
    ledger.create("c", "token", {**FIELDS, **fields})
    ledger.append("c", "token", 0, ["1", "2"], "sha")
    assert pop(ledger, "io").count == 1


def test_whatever_it_raises_is_its_outcome(ledger):
    run(ledger, submit(ledger, "fail", 4))
    errors = [one.error for one in results(ledger, 4)]
    assert [error["type"] for error in errors] == ["ValueError", "TimeoutError", "SystemExit", "CancelledError"]
    assert "waiting_tasks.py" in errors[0]["traceback"]
    assert "coroutines.py" not in errors[0]["traceback"]


def test_it_is_cancelled_at_its_time_limit_and_tried_again(ledger):
    chunk = submit(ledger, "wait_too_long", 1, retries=1, retry_seconds=0.001)
    run(ledger, chunk)
    assert info(ledger, "b").left == 1

    def again():
        ledger.heartbeat(WORKER, {"queue": "io", "slots": 2}, [])
        return pop(ledger, "io")

    run(ledger, until(again, what="the second attempt"))
    (result,) = results(ledger, 1)
    assert (result.state, result.error["type"], result.attempts) == ("failed", "TimeLimitExceeded", 2)
    assert waiting_tasks.cancelled == [0, 0]


def tried_again(ledger, chunk, failing, rest=0):
    """Record a chunk, whose items `failing` are due again after so many milliseconds; what is handed out then."""
    items = ledger.take(chunk, WORKER).items
    done = [
        outcomes([item], "failed" if item.index in failing else "succeeded", failing.get(item.index))[0]
        for item in items
    ]
    ledger.record(chunk, done, 1, WORKER, rest)
    ledger.heartbeat(WORKER, {"queue": "io", "slots": 2, "async_items": 32}, [])
    chunks = []
    while message := pop(ledger, "io"):
        chunks.append(message)
    return chunks


def test_items_that_are_due_together_are_tried_again_together(ledger):
    chunk = submit(ledger, "fail", 60, retries=1)
    (again,) = tried_again(ledger, chunk, {3: 0, 5: 0, 40: 0})
    assert [item.index for item in ledger.take(again, WORKER).items] == [3, 5, 40]


def test_but_not_across_an_item_that_is_not_due(ledger):
    chunk = submit(ledger, "fail", 60, retries=1)
    chunks = tried_again(ledger, chunk, {3: 0, 4: 0, 5: 3_600_000, 40: 0})
    assert [[item.index for item in ledger.take(one, WORKER).items] for one in chunks] == [[3, 4], [40]]


def test_nor_under_the_name_of_a_chunk_that_is_in_flight_still(ledger):
    chunk = submit(ledger, "fail", 60, retries=1)
    assert tried_again(ledger, chunk, {0: 0, 59: 0}, rest=-1) == []
    ledger.record(chunk, [], 0, WORKER)
    again = pop(ledger, "io")
    assert [item.index for item in ledger.take(again, WORKER).items] == [0, 59]


def test_one_that_does_not_heed_its_cancellation_gives_back_slot_and_place(ledger, monkeypatch):
    monkeypatch.setattr(coroutines, "GRACE_SECONDS", 0.1)
    places = event_loop.event_loop().places
    free = places.free
    run(ledger, submit(ledger, "wait_deaf", 2))
    assert [one.error["type"] for one in results(ledger, 2)] == ["TimeLimitExceeded"] * 2
    assert places.free == free


def test_what_has_ended_is_recorded_while_others_run_and_a_kill_ends_those(ledger, control):
    chunk = submit(ledger, "wait_long", 3)
    thread, raised = in_thread(ledger, chunk)
    until(lambda: info(ledger, "b").succeeded == 1, what="the record of the item that has ended")
    control.cancel("b", "by me", [WORKER])
    (identity,) = ledger.heartbeat(WORKER, {"queue": "io", "slots": 2}, [])[2]
    assert event_loop.cancel_run(identity)
    thread.join(30)
    assert not thread.is_alive()
    assert raised == []
    until(lambda: sorted(waiting_tasks.cancelled) == [1, 2])
    state = info(ledger, "b")
    assert (state.state, state.succeeded, state.cancelled, state.duplicates) == ("cancelled", 1, 2, 0)
    assert not event_loop.cancel_run(identity)


def test_a_kill_ends_all_that_runs_under_one_message_id(ledger):
    waiting_tasks.gate.clear()
    chunk = submit(ledger, "wait_for_gate", 1)
    threads = [in_thread(ledger, chunk)[0] for _ in range(2)]
    until(lambda: waiting_tasks.running == [0, 0], what="the start of both")
    assert event_loop.cancel_run(chunk.message_id)
    try:
        until(lambda: waiting_tasks.cancelled == [0, 0], what="the end of both")
    finally:
        waiting_tasks.gate.set()
        for thread in threads:
            thread.join(30)
    assert event_loop.event_loop().runs == {}


def test_a_chunk_that_begins_while_the_loop_stands_still_waits_for_it(ledger, monkeypatch):
    monkeypatch.setattr(coroutines, "ASK_SECONDS", 0.01)
    waits, wait = [], coroutines.CoroutineRun.wait
    monkeypatch.setattr(coroutines.CoroutineRun, "wait", lambda run, seconds: waits.append(run) or wait(run, seconds))
    goes_on = threading.Event()
    event_loop.event_loop().loop.call_soon_threadsafe(goes_on.wait, 60)
    try:
        thread, raised = in_thread(ledger, submit(ledger, "wait_together", 1))
        until(lambda: raised or len(waits) > 3, what="some looks at the run")
    finally:
        goes_on.set()
    thread.join(30)
    assert (raised, [one.state for one in results(ledger, 1)]) == ([], ["succeeded"])


def test_a_worker_that_ends_records_what_has_ended_and_the_rest_stays_in_flight(ledger):
    chunk = submit(ledger, "wait_long", 3)
    thread, raised = in_thread(ledger, chunk)
    until(lambda: waiting_tasks.running == [0, 1, 2], what="the start of the items")
    event_loop.interrupt_runs(5)
    thread.join(30)
    assert [type(error) for error in raised] == [RunInterrupted]
    assert sorted(waiting_tasks.cancelled) == [1, 2]
    assert ledger.client.zrange(ledger.key("b", "in_flight"), 0, -1) == [chunk.member]
    assert [item.index for item in ledger.take(chunk, WORKER).items] in ([1, 2], [0, 1, 2])


def test_a_pause_starts_no_more_items(ledger, control, monkeypatch):
    monkeypatch.setattr(coroutines, "ASK_SECONDS", 0.05)
    monkeypatch.setattr("gristmill.worker.slot.chunk_stop.ASK_SECONDS", 0.05)
    places = event_loop.event_loop().places
    free, places.free = places.free, 0
    chunk = submit(ledger, "wait_long", 3)
    thread, raised = in_thread(ledger, chunk)
    try:
        control.pause("b")
        thread.join(30)
        assert not thread.is_alive(), "it waits for no place"
    finally:
        places.free = free
    assert raised == []
    assert (info(ledger, "b").left, ledger.client.zcard(ledger.key("b", "in_flight"))) == (3, 0)
    assert ledger.client.zrange(ledger.key("b", "remainder"), 0, -1) == ["0:3"]


def test_a_loop_that_stands_still_is_named_with_its_place(ledger, caplog, monkeypatch):
    monkeypatch.setattr(loop_watch, "STILL_SECONDS", 0.2)
    monkeypatch.setattr(loop_watch, "rare_log", RareLog(loop_watch.log))
    caplog.set_level(logging.WARNING)
    ledger.heartbeat(WORKER, {"queue": "io", "slots": 2}, [])
    chunk = submit(ledger, "block", 2, parameter="seconds")
    run(ledger, chunk)
    lines = [record.getMessage() for record in caplog.records if record.name == loop_watch.__name__]
    still = [line for line in lines if "block() at" in line]
    assert len(still) == 1, "once for each place"
    assert "waiting_tasks.py" in still[0]


def test_a_suspect_runs_in_a_loop_of_its_own(ledger):
    chunk = submit(ledger, "fail", 1)
    work = ledger.take(chunk, WORKER)
    outcome = run_named(work, WORKER, 0, work.items[0])
    assert (outcome.state, json.loads(outcome.text)["type"]) == ("failed", "ValueError")


def test_a_suspect_is_cancelled_at_its_time_limit(ledger):
    chunk = submit(ledger, "wait_too_long", 1)
    work = ledger.take(chunk, WORKER)
    outcome = run_named(work, WORKER, 0.05, work.items[0])
    assert (outcome.state, json.loads(outcome.text)["type"]) == ("failed", "TimeLimitExceeded")
    assert waiting_tasks.cancelled == [0]


def test_each_item_of_a_chunk_has_its_own_time(ledger, monkeypatch):
    monkeypatch.setattr(coroutines, "GRACE_SECONDS", 3600.0)
    run(ledger, submit(ledger, "wait_its_time", 3, parameter="seconds"))
    ends = [(one.state, one.error and one.error["type"]) for one in results(ledger, 3)]
    assert ends == [("succeeded", None), ("failed", "TimeLimitExceeded"), ("failed", "TimeLimitExceeded")]


@pytest.mark.parametrize(("seconds", "size"), [(0.001, 256), (30.0, 64)])
def test_chunks_of_fast_items_grow_and_those_of_slow_ones_do_not(ledger, seconds, size):
    chunk = submit(ledger, "fail", 4000)
    assert chunk.count == 64, "nothing is measured yet"
    items = ledger.take(chunk, WORKER).items
    ledger.record(chunk, outcomes(items), seconds * 64, WORKER)
    counts = []
    while following := pop(ledger, "io"):
        counts.append(following.count)
    assert counts[-1] == size


def test_cpu_refuses_a_coroutine_function():
    async def compute(n: int) -> int:
        return n

    with pytest.raises(TypeError, match="compute"):
        cpu(compute)
