"""While an item takes long, what its chunk has is recorded, each outcome once, and the rest goes to other slots."""

import os
import threading
from concurrent.futures import ThreadPoolExecutor

import pytest
from redis.exceptions import ConnectionError as NoConnection

from gristmill.batches.chunk import Chunk, Item, Outcome, Work
from gristmill.worker.slot.chunk_run import ChunkRun, EarlyRecorder
from tests.conftest import until

FIRST, COUNT = 10, 6


def outcome(item, seconds=0.25):
    return Outcome(item.index, "succeeded", "1", 1, seconds, "cpu@a", os.getpid())


class Records:
    """A ledger that notes what was recorded early: the chunk, the indexes, their seconds, and the rest."""

    def __init__(self):
        self.calls = []
        self.error = None
        self.takes_rest = True
        self.meanwhile = lambda: None

    def record(self, chunk, outcomes, seconds, worker, rest):
        assert worker == "cpu@a/1"
        self.meanwhile()
        if self.error:
            raise self.error
        self.calls.append((chunk.member, [each.index for each in outcomes], seconds, rest))
        return 0

    def give_rest(self, *arguments):
        self.record(*arguments)
        return self.takes_rest


@pytest.fixture
def records():
    return Records()


def run_of(records, indexes=range(FIRST, FIRST + COUNT), *, rest=0, may_give=True):
    """The run of a chunk in which these items have no outcome."""
    items = [Item(index, index, 1) for index in indexes]
    work = Work(Chunk("b", 1, FIRST, COUNT), "t", {}, "n", 0, 1.0, items, rest)
    return ChunkRun(records, work, "cpu@a/1", may_give=may_give)


def go(run, items):
    """Run so many items, and begin another one, which takes long; its outcome when it ends."""
    for _ in range(items):
        run.outcomes.append(outcome(run.waiting.popleft()))
    return outcome(run.waiting.popleft())


def look_twice(run):
    run.look()
    run.look()


def test_two_looks_at_the_same_item_record_what_there_is_and_give_the_rest(records):
    run = run_of(records)
    before = run.started_at
    last = go(run, 2)
    run.look()
    assert records.calls == []
    run.look()
    assert records.calls == [("10:6", [10, 11], 0.5, 3)]
    assert (run.chunk.member, list(run.waiting), run.started_at) == ("10:3", [], before + 0.5)
    look_twice(run)
    run.outcomes.append(last)
    chunk, outcomes, _, rest = run.end(None)
    assert (chunk.member, [each.index for each in outcomes], rest) == ("10:3", [12], 0)
    assert len(records.calls) == 1


@pytest.mark.parametrize(
    ("indexes", "rest", "call", "left"),
    [
        (range(10, 16), 0, ("10:6", [], 0, 5), "10:1"),
        # Of the others, some have an outcome already.
        ((11, 13, 15), 0, ("10:6", [], 0, 3), "10:3"),
        # The chunk has more bytes than a slot gets at once.
        (range(10, 13), 3, ("10:6", [], 0, 5), "10:1"),
        (range(10, 11), 5, ("10:6", [], 0, 5), "10:1"),
    ],
)
def test_the_rest_is_all_behind_the_item_that_runs(records, indexes, rest, call, left):
    run = run_of(records, indexes, rest=rest)
    go(run, 0)
    look_twice(run)
    assert records.calls == [call]
    assert run.chunk.member == left


def test_a_slot_that_begins_items_keeps_them(records):
    run = run_of(records)
    for _ in range(COUNT):
        run.look()
        go(run, 0)
    run.look()
    assert records.calls == []
    assert run.end(None)[3] == 0


def test_a_chunk_that_has_not_begun_is_not_given_back(records):
    run = run_of(records)
    look_twice(run)
    assert (records.calls, len(run.waiting)) == ([], COUNT)


def test_a_suspect_gives_nothing_back(records):
    run = run_of(records, may_give=False)
    go(run, 1)
    look_twice(run)
    assert records.calls == [("10:6", [10], 0.25, -1)]
    assert len(run.waiting) == COUNT - 2


def test_the_last_item_leaves_no_rest(records):
    run = run_of(records)
    go(run, COUNT - 1)
    look_twice(run)
    assert records.calls == [("10:6", [10, 11, 12, 13, 14], 1.25, -1)]


def test_what_runs_out_of_memory_meanwhile_is_not_recorded(records):
    run = run_of(records)
    go(run, 1)
    run._work.out_of_memory.append(Item(10, 10, 1))
    look_twice(run)
    assert (records.calls, len(run.outcomes), len(run.waiting)) == ([], 1, COUNT - 2)


@pytest.mark.parametrize("error", [NoConnection(), ValueError("no record")])
def test_what_the_server_does_not_take_is_kept_and_goes_with_the_next_call(records, error):
    run = run_of(records)
    last, before = go(run, 1), run.started_at
    records.error = error
    look_twice(run)
    assert ([each.index for each in run.outcomes], list(run.waiting), run.started_at) == ([10], [], before)
    assert run.chunk.member == "10:6"
    records.error = None
    run.look()
    assert records.calls == [("10:6", [10], 0.25, 4)]
    run.outcomes.append(last)
    assert run.end(None)[0].member == "10:2"


def test_what_another_slot_has_too_is_told_of_at_the_end(records):
    run = run_of(records)
    last = go(run, 1)
    records.takes_rest = False
    look_twice(run)
    run.look()
    assert len(records.calls) == 1, "asked once"
    run.outcomes.append(last)
    chunk, outcomes, _, rest = run.end(None)
    assert (chunk.member, [each.index for each in outcomes], rest) == ("10:6", [11], 4)


def test_what_is_added_while_the_rest_is_recorded_stays(records):
    run = run_of(records)
    last = go(run, 1)
    records.meanwhile = lambda: run.outcomes.append(last)
    look_twice(run)
    assert records.calls == [("10:6", [10], 0.25, 4)]
    assert [each.index for each in run.take()[0]] == [11]


def test_a_slot_that_stops_leaves_the_items_that_it_has_not_begun(records):
    run = run_of(records, range(FIRST, FIRST + 4), rest=2)
    run.outcomes.append(go(run, 1))
    assert run.end(12)[3] == 4
    look_twice(run)
    assert (records.calls, list(run.waiting)) == ([], [])


def test_each_item_goes_one_way(records):
    """The slot takes items while the other thread does."""
    for _ in range(200):
        run, taken = run_of(records, range(FIRST, FIRST + COUNT)), []
        go(run, 0)
        run.look()
        begun = threading.Barrier(2)

        def slot(run=run, taken=taken, begun=begun):
            begun.wait()
            while run.waiting:
                try:
                    taken.append(run.waiting.popleft().index)
                except IndexError:
                    return

        thread = threading.Thread(target=slot)
        thread.start()
        begun.wait()
        run.look()
        thread.join()
        assert [FIRST, *taken] == list(range(run.chunk.first, run.chunk.first + run.chunk.count))


def test_a_thread_looks_while_chunks_run_and_in_a_forked_process_too(records):
    recorder = EarlyRecorder()
    with recorder.of(run_of(records)) as run:
        go(run, 1)
        until(lambda: records.calls)
    # It sleeps meanwhile, and wakes for the next chunk.
    until(lambda: not recorder._busy.is_set())
    with recorder.of(run_of(records)) as run:
        go(run, 2)
        until(lambda: len(records.calls) == 2)
    assert records.calls == [("10:6", [10], 0.25, 4), ("10:6", [10, 11], 0.5, 3)]


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
