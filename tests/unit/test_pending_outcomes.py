"""What a chunk has so far is recorded while one of its items takes long, each outcome once."""

import os
import threading
from concurrent.futures import ThreadPoolExecutor

import pytest
from redis.exceptions import ConnectionError as NoConnection

from gristmill.batches.chunk import Outcome
from gristmill.worker.pending_outcomes import EarlyRecorder, PendingOutcomes
from tests.conftest import until


def outcome(index, seconds=0.25):
    return Outcome(index, "succeeded", "1", 1, seconds, "cpu@a", os.getpid())


class Records:
    """What was recorded early: the indexes of each call, and their seconds."""

    def __init__(self):
        self.calls = []
        self.fails = False

    def __call__(self, outcomes, seconds):
        if self.fails:
            raise NoConnection
        self.calls.append(([each.index for each in outcomes], seconds))


@pytest.fixture
def records():
    return Records()


def test_two_looks_without_a_new_outcome_record_what_there_is(records):
    pending = PendingOutcomes(records, lambda: True)
    before = pending.started_at
    pending.outcomes.append(outcome(0))
    pending.outcomes.append(outcome(1))
    pending.look()
    assert records.calls == []
    pending.look()
    assert records.calls == [([0, 1], 0.5)]
    assert pending.started_at == before + 0.5
    pending.look()
    assert pending.take()[0] == []


def test_a_slot_that_adds_outcomes_records_them_itself(records):
    pending = PendingOutcomes(records, lambda: True)
    for index in range(5):
        pending.outcomes.append(outcome(index))
        pending.look()
    assert records.calls == []
    assert [each.index for each in pending.take()[0]] == [0, 1, 2, 3, 4]


def test_what_may_be_replaced_is_not_recorded(records):
    pending = PendingOutcomes(records, lambda: False)
    pending.outcomes.append(outcome(0))
    pending.look()
    pending.look()
    assert records.calls == []
    assert len(pending.take()[0]) == 1


def test_what_the_server_does_not_take_is_kept(records):
    pending = PendingOutcomes(records, lambda: True)
    before = pending.started_at
    pending.outcomes.append(outcome(0))
    records.fails = True
    pending.look()
    pending.look()
    assert (len(pending.take()[0]), pending.started_at >= before) == (1, True)
    records.fails = False
    pending.outcomes.append(outcome(1))
    pending.look()
    pending.look()
    assert records.calls == [([1], 0.25)]


def test_what_is_added_while_the_rest_is_recorded_stays(records):
    def record(outcomes, seconds):
        pending.outcomes.append(outcome(1))
        records(outcomes, seconds)

    pending = PendingOutcomes(record, lambda: True)
    pending.outcomes.append(outcome(0))
    pending.look()
    pending.look()
    assert records.calls == [([0], 0.25)]
    assert [each.index for each in pending.take()[0]] == [1]


def test_a_thread_looks_while_chunks_run_and_in_a_forked_process_too(records):
    recorder = EarlyRecorder()
    with recorder.of(PendingOutcomes(records, lambda: True)) as pending:
        pending.outcomes.append(outcome(3))
        until(lambda: records.calls)
    assert records.calls == [([3], 0.25)]
    # It sleeps meanwhile, and wakes for the next chunk.
    until(lambda: not recorder._busy.is_set())
    with recorder.of(PendingOutcomes(records, lambda: True)) as pending:
        pending.outcomes.append(outcome(4))
        until(lambda: len(records.calls) == 2)


def test_slots_that_begin_together_start_one_thread(records, monkeypatch):
    starts = []
    recorder = EarlyRecorder()
    with ThreadPoolExecutor(8) as pool:
        begun = threading.Barrier(8)
        monkeypatch.setattr(recorder, "_look", lambda: starts.append("looked"))
        wakes = [pool.submit(lambda: (begun.wait(), recorder._wake())) for _ in range(8)]
        for wake in wakes:
            wake.result()
    until(lambda: starts)
    assert starts == ["looked"]


def test_an_error_of_one_chunk_leaves_the_others_their_thread():
    def record(outcomes, seconds):
        raise ValueError("no record")

    pending = PendingOutcomes(record, lambda: True)
    pending.outcomes.append(outcome(0))
    pending.look()
    pending.look()
    assert len(pending.take()[0]) == 1


def test_what_runs_out_of_memory_meanwhile_is_not_recorded(records):
    """The slot appends such an outcome between the look's copy and its question: what was copied is not that one."""
    failures = []

    def may_record():
        pending.outcomes.append(outcome(1))
        failures.append(1)
        return True

    pending = PendingOutcomes(records, may_record)
    pending.outcomes.append(outcome(0))
    pending.look()
    pending.look()
    assert records.calls == [([0], 0.25)]
    assert [each.index for each in pending.take()[0]] == [1]
