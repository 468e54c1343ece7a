"""A batch with `--halt`: what may end it is recorded before the next item of the chunk starts."""

import pytest

from gristmill.batches.chunk import Outcome
from gristmill.worker.slot import chunk_stop
from gristmill.worker.slot.runner import Runner
from tests.support.ledger import WORKER, heartbeat, info, outcomes, pop, submit


def chunk_of_many(ledger, halt):
    """A chunk of a batch whose items are quick; one item has succeeded."""
    ledger.heartbeat(WORKER, heartbeat(1), [])
    submit(ledger, "b", 5000, block=1000, **({"halt": halt} if halt else {}))
    first = pop(ledger)
    ledger.record(first, outcomes(ledger.take(first, WORKER).items), 0.001, WORKER)
    return pop(ledger)


def run_until(ledger, halt, state, place):
    """The places of the items that ran, of a chunk where the one at `place` ends in `state` and the others do not."""
    chunk = chunk_of_many(ledger, halt)
    assert chunk.count > 3
    other = "failed" if state == "succeeded" else "succeeded"
    places = []

    def run(item):
        places.append(item.index - chunk.first)
        return Outcome(item.index, state if places[-1] == place else other, 1, "1", 0.001, WORKER, 1)

    Runner(ledger, ledger.settings)._run_items(ledger.take(chunk, WORKER), run, run, WORKER, 0.0)
    return places


@pytest.mark.parametrize(
    ("halt", "state"), [("fail=1", "failed"), ("now,fail=1", "failed"), ("success=2", "succeeded"), ("fail=1", "dead")]
)
def test_no_item_starts_after_the_one_that_ends_the_batch(ledger, halt, state):
    assert run_until(ledger, halt, state, 1) == [0, 1]
    batch = info(ledger, "b")
    assert (batch.left, batch.cancelled) == (0, 5000 - 3)
    assert batch.state.value == "cancelled"


def test_without_a_halt_the_chunk_runs_to_its_end(ledger):
    assert len(run_until(ledger, "", "failed", 1)) > 3


def test_an_outcome_that_cannot_end_the_batch_costs_no_call(ledger, monkeypatch):
    calls = []
    chunk = chunk_of_many(ledger, "fail=1")
    work = ledger.take(chunk, WORKER)
    runner = Runner(ledger, ledger.settings)
    monkeypatch.setattr(runner, "record", lambda *_: calls.append("record"))

    def run(item):
        # It will be tried again.
        state, retry_ms = ("failed", 1000) if item is work.items[0] else ("succeeded", None)
        return Outcome(item.index, state, 1, "1", 0.001, WORKER, 1, retry_ms)

    runner._run_items(work, run, run, WORKER, float("inf"))
    assert calls == []


def test_records_that_may_end_a_batch_are_some_time_apart(ledger, monkeypatch):
    now = [100.0]
    monkeypatch.setattr(chunk_stop, "perf_counter", lambda: now[0])
    stop = chunk_stop.Stop(ledger, pop(ledger), "fail=9")
    failure, success = (Outcome(0, state, 1, "1") for state in ("failed", "succeeded"))
    assert [stop.halts(each) for each in (success, failure, failure, success)] == [False, True, False, False]
    now[0] += chunk_stop.HALT_RECORD_SECONDS
    assert [stop.halts(success) for _ in range(2)] == [True, False]
