"""A slot that has recorded a chunk goes on with the next one of its batch, or gives way to what else waits."""

from dataclasses import replace
from threading import Thread
from time import monotonic

import pytest

from gristmill.batches.chunk import Chunk
from gristmill.batches.control import Control
from gristmill.worker.runs.rows import VARIABLE, RunRows
from gristmill.worker.slot import chunk_stop
from gristmill.worker.slot.runner import Runner
from tests.conftest import until
from tests.support.ledger import FIELDS, WORKER, heartbeat, info, outcomes, pop, queue_key, submit

LONG_SECONDS = 3


@pytest.fixture
def chunk(ledger):
    """A chunk whose message stands on the queue, of a batch whose items are quick."""
    ledger.heartbeat(WORKER, heartbeat(1), [])
    submit(ledger, "b", 5000, block=1000)
    first = pop(ledger)
    ledger.record(first, outcomes(ledger.take(first, WORKER).items), 0.001, WORKER)
    return pop(ledger, stays=True)


def go_on(ledger, chunk, overdue):
    """Record a chunk; the slot's next one."""
    items = ledger.take(chunk, WORKER).items
    _, work = ledger.record_and_go_on(chunk, outcomes(items), 0.001 * len(items), WORKER, overdue=overdue)
    return work and work.chunk


def test_an_overdue_slot_stays_while_nothing_else_waits(ledger, chunk):
    following = go_on(ledger, chunk, overdue=True)
    assert following.first == chunk.first + chunk.count


@pytest.mark.parametrize("other", ["batch", "task"])
def test_an_overdue_slot_gives_way_to_another_message(ledger, chunk, other):
    if other == "batch":
        submit(ledger, "other", 1)
    else:
        ledger.client.xadd(queue_key(ledger).replace(":0", ":9"), {"m": "{}"})
    following = go_on(ledger, chunk, overdue=False)
    assert following
    before = ledger.client.xlen(queue_key(ledger))
    items = ledger.take(following, WORKER).items
    assert ledger.record_and_go_on(following, outcomes(items), 0.01, WORKER, overdue=True)[1] is None
    assert ledger.client.xlen(queue_key(ledger)) == before + 1, "its place has a message, behind the other"


def test_an_overdue_slot_gives_way_to_an_attempt_that_is_due(ledger, chunk):
    ledger.client.zadd(ledger.key("b", "retry"), {4999: 0})
    assert go_on(ledger, chunk, overdue=True) is None


def test_an_overdue_slot_gives_way_to_what_a_dead_worker_held(ledger, chunk):
    ledger.client.zadd(queue_key(ledger).replace(":q:", ":back:").removesuffix(":0"), {"0/1-1": 0})
    assert go_on(ledger, chunk, overdue=True) is None


class Calls:
    """A ledger that notes what the runner asks at the end of a chunk."""

    def __init__(self):
        self.names = []

    def record(self, *_):
        self.names.append("record")
        return 0

    def record_and_go_on(self, *_, overdue):
        self.names.append("overdue" if overdue else "in time")
        return 0, None


def own_rows(monkeypatch):
    """Rows of no worker, in place of those of this process."""
    rows = RunRows()
    monkeypatch.setattr(chunk_stop, "run_rows", rows)
    monkeypatch.setenv(VARIABLE, "")
    return rows


@pytest.mark.parametrize(
    ("seconds", "has_rows", "drains", "call"),
    [
        (1, False, False, "in time"),
        (-1, False, False, "record"),
        (-1, True, False, "overdue"),
        (-1, True, True, "record"),
        (-11, True, False, "record"),
    ],
)
def test_a_slot_stays_for_a_while_where_it_sees_its_worker_drain(ledger, monkeypatch, seconds, has_rows, drains, call):
    rows = own_rows(monkeypatch)
    if has_rows:
        rows.make(1)
        # As the worker does, of which this could be a process.
        rows.stop(drains)
    calls = Calls()
    Runner(calls, ledger.settings).end(Chunk("b", 0, 0, 1), [], 0.0, WORKER, 0, monotonic() + seconds)
    assert calls.names == [call]


def test_a_suspect_takes_no_next_chunk_even_just_after_the_start_of_its_machine(monkeypatch):
    own_rows(monkeypatch).make(1)
    monkeypatch.setattr(chunk_stop, "monotonic", lambda: 5.0)
    assert (chunk_stop.may_stay(0.0), chunk_stop.may_stay(1.0)) == (False, True)


def test_a_suspect_leaves_nothing_to_other_slots(ledger, monkeypatch):
    # They would have it under a message that is no suspect.
    ledger.heartbeat(WORKER, heartbeat(1), [])
    submit(ledger, "b", 400, block=400)
    for _ in range(20):
        quick = pop(ledger)
        if quick.count > 1:
            break
        ledger.record(quick, outcomes(ledger.take(quick, WORKER).items), 0.1, WORKER)
    assert quick.count > 1
    before = info(ledger, "b").left
    Runner(ledger, ledger.settings.model_copy(update={"chunk_seconds": 1e-6})).run(quick, WORKER, suspect=True)
    assert before - info(ledger, "b").left == quick.count


def test_while_an_item_takes_long_its_chunk_is_recorded_and_the_rest_goes_to_other_slots(ledger, monkeypatch):
    ledger.heartbeat(WORKER, heartbeat(1), [])
    ledger.create("b", "token", {**FIELDS, "task": "pause", "parameter": "seconds"})
    ledger.append("b", "token", 0, ["0"] * 40, "sha")
    ledger.append("b", "token", 40, ["0", "0", "0", str(LONG_SECONDS), "0"] * 1000, "sha2")
    ledger.end("b", "token", 5040)
    while (chunk := pop(ledger, stays=True)).count < 10 or chunk.first < 40 or chunk.first % 5 > 2:
        pop(ledger)
        ledger.record(chunk, outcomes(ledger.take(chunk, WORKER).items), 0.001, WORKER)
    before, quick = info(ledger, "b").succeeded, 3 - chunk.first % 5
    started_at = monotonic()
    thread = Thread(target=Runner(ledger, ledger.settings).run, args=(chunk, WORKER))
    thread.start()
    begun = f"{chunk.first}:{quick + 1}"
    until(lambda: info(ledger, "b").succeeded == before + quick and in_flight(ledger) == [begun])
    monkeypatch.setattr(chunk_stop, "is_draining", lambda: True)
    behind = chunk.first + quick + 1
    rest = f"{behind}:{chunk.count - quick - 1}"
    assert ledger.client.zrange(ledger.key("b", "remainder"), 0, -1) == [rest]
    # One more slot has them at once.
    ledger.heartbeat("cpu@b", heartbeat(1), [])
    assert any(name.startswith(f"{behind}:") for name in in_flight(ledger))
    assert monotonic() < started_at + LONG_SECONDS
    thread.join()
    state = info(ledger, "b")
    assert (state.succeeded, state.duplicates) == (before + quick + 1, 0)
    assert begun not in in_flight(ledger)


def in_flight(ledger):
    """The chunks in flight."""
    return sorted(ledger.client.zrange(ledger.key("b", "in_flight"), 0, -1))


@pytest.fixture
def begun(ledger, chunk):
    """A chunk of which a slot has recorded two items, runs the third one, and has given back the others."""
    items = ledger.take(chunk, WORKER).items
    rest = chunk.count - 3
    assert ledger.give_rest(chunk, outcomes(items[:2]), 0.001, WORKER, rest)
    return replace(chunk, count=3)


def test_whoever_gets_the_message_runs_what_its_slot_went_on_with(ledger, chunk, begun):
    work = ledger.take(chunk, "cpu@b")
    assert work.chunk == begun
    assert [item.index for item in work.items] == [begun.first + 2]
    heartbeat_time = ledger.client.zscore(ledger.key("b", "in_flight"), begun.member)
    ledger.client.zadd(ledger.key("b", "in_flight"), {begun.member: 1}, xx=True)
    ledger.heartbeat("cpu@b", heartbeat(1), [chunk])
    assert ledger.client.zscore(ledger.key("b", "in_flight"), begun.member) >= heartbeat_time
    assert ledger.record(begun, outcomes(work.items), 0.1, "cpu@b") == 0
    assert ledger.record(begun, outcomes(work.items), 0.1, WORKER) == 1, "the slot was not gone after all"
    assert begun.member not in in_flight(ledger)
    assert ledger.take(chunk, "cpu@b") is None


def test_a_paused_batch_keeps_what_a_slot_went_on_with(ledger, chunk, begun):
    Control(ledger.client, ledger.settings).pause("b")
    assert ledger.take(chunk, "cpu@b") is None
    assert begun.member in ledger.client.zrange(ledger.key("b", "remainder"), 0, -1)


def test_a_repeated_gift_gives_nothing_twice(ledger, chunk, begun):
    before = ledger.client.zrange(ledger.key("b", "remainder"), 0, -1), in_flight(ledger)
    assert ledger.give_rest(chunk, [], 0, WORKER, chunk.count - 3)
    assert (ledger.client.zrange(ledger.key("b", "remainder"), 0, -1), in_flight(ledger)) == before


def test_the_end_of_a_chunk_ends_what_was_begun_though_nobody_knew_that_the_rest_was_given(ledger, chunk, begun):
    """The call that gave the rest had no answer, and the long item ended before it was repeated."""
    last = ledger.take(chunk, WORKER).items
    assert ledger.record(chunk, outcomes(last), 0.1, WORKER, chunk.count - 3) == 0
    assert begun.member not in in_flight(ledger)
    assert ledger.take(chunk, "cpu@b") is None
    assert [name for name in in_flight(ledger) if name.startswith(f"{begun.first + 3}:")], "others have the rest"


def test_a_slot_whose_chunk_is_another_ones_does_not_go_on(ledger, chunk):
    items = ledger.take(chunk, WORKER).items
    ledger.take(chunk, "cpu@b")
    assert ledger.record_and_go_on(chunk, outcomes(items), 0.1, WORKER)[1] is None
    assert not [entry for entry in ledger.client.hvals(ledger.key("b", "started")) if entry]


def test_only_the_slot_that_has_the_chunk_gives_its_rest(ledger, chunk):
    ledger.take(chunk, WORKER)
    ledger.take(chunk, "cpu@b")
    before = in_flight(ledger)
    assert not ledger.give_rest(chunk, [], 0, WORKER, chunk.count - 1)
    assert (ledger.client.exists(ledger.key("b", "remainder")), in_flight(ledger)) == (0, before)


def test_a_batch_whose_slots_give_their_rest_loses_nothing(ledger, chunk, begun):
    late = ledger.take(chunk, WORKER)
    ledger.record(begun, outcomes(late.items), 0.001, WORKER)
    ledger.client.xdel(queue_key(ledger), ledger.client.xrange(queue_key(ledger), count=1)[0][0])
    while one := pop(ledger):
        ledger.record(one, outcomes(ledger.take(one, WORKER).items), 0.001, WORKER)
    state = info(ledger, "b")
    assert (state.succeeded, state.left, state.duplicates) == (5000, 0, 0)
    assert state.finished


def test_a_heartbeat_shows_the_chunk_that_a_slot_has_gone_on_with_and_walks_no_others(ledger, chunk):
    in_flight = ledger.key("b", "in_flight")

    def beat(chunks):
        """Send a heartbeat; the chunks that it showed, and whether it has read all that run."""
        ledger.client.zadd(in_flight, dict.fromkeys(ledger.client.zrange(in_flight, 0, -1), 1), xx=True)
        with ledger.client.monitor() as seen:
            ledger.heartbeat(WORKER, heartbeat(1), chunks)
            ledger.client.echo("over")
            commands = []
            while not commands or "over" not in commands[-1]:
                commands.append(seen.next_command()["command"])
        shown = ledger.client.zrangebyscore(in_flight, 2, "inf")
        return shown, any(f"HGETALL {ledger.key('b', 'started')}" in command for command in commands)

    ledger.take(chunk, WORKER)
    assert beat([chunk]) == ([chunk.member], False)
    following = go_on(ledger, chunk, overdue=False)
    shown, has_walked = beat([chunk])
    assert has_walked
    assert following.member in shown
