"""Outcomes are kept in runs, and counted, read and consumed one by one all the same."""

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gristmill.batches.chunk import Chunk, Outcome
from gristmill.batches.outcomes import BUCKET, RUN_BYTES, flattened, span_of
from gristmill.batches.reader import ResultReader
from gristmill.batches.result_consumer import ResultConsumer
from tests.support.ledger import WORKER, heartbeat, info, submit


def outcome(index, state="s", attempt=1, value=None):
    word = {"s": "succeeded", "d": "dead"}.get(state, "failed")
    return Outcome(index, state, attempt, f'["{word}",{index if value is None else value},{attempt},0.1,"{WORKER}",1]')


@pytest.fixture
def record(ledger):
    """Record outcomes of a batch of 1,200 items that no chunk was taken of; answers how many were duplicates."""
    submit(ledger, "b", 1200, retries=1)
    epoch = int(ledger.state("b")["epoch"])
    return lambda *outcomes: ledger.record(Chunk("b", epoch, 0, 1200), outcomes, 0.1, WORKER, rest=-1)


def fields(ledger, hash_number=0):
    names = ledger.client.hkeys(ledger.key("b", f"out:{hash_number}"))
    return sorted(names, key=span_of)


def read(ledger, first=0, end=1200):
    return {
        result.index: (result.state, result.value)
        for result in ResultReader(ledger.client, ledger.settings, "b").in_order(first, end)
    }


class TestRuns:
    def test_neighbours_that_succeeded_are_one_field_of_each_hash(self, ledger, record):
        assert record(*map(outcome, range(1200))) == 0
        assert [fields(ledger, number) for number in range(3)] == [["0:500"], ["500:500"], ["1000:200"]]
        assert read(ledger) == {index: ("succeeded", index) for index in range(1200)}
        assert read(ledger, 498, 502) == {index: ("succeeded", index) for index in range(498, 502)}

    def test_what_failed_or_was_tried_again_is_kept_alone(self, ledger, record):
        assert record(*map(outcome, range(3)), outcome(3, "f"), *map(outcome, range(4, 6)), outcome(6, "60000")) == 0
        assert record(outcome(6, "s", attempt=2), outcome(7)) == 0
        assert fields(ledger) == ["0:3", "3", "4:2", "6", "7"]
        assert read(ledger)[3][0] == "failed"
        assert list(read(ledger)) == list(range(8))

    def test_the_first_outcome_counts_also_within_a_run(self, ledger, record):
        assert record(*map(outcome, range(10))) == 0
        assert record(*(outcome(index, value=-1) for index in range(5, 15))) == 5
        state = info(ledger, "b")
        assert (state.succeeded, state.duplicates) == (15, 5)
        assert [value for _, value in read(ledger).values()] == [*range(10), *[-1] * 5]

    def test_an_attempt_before_the_last_is_a_duplicate_also_within_a_run(self, ledger, record):
        assert record(outcome(5, "60000")) == 0
        assert record(*map(outcome, range(10))) == 1
        assert 5 not in read(ledger)
        assert record(outcome(5, "s", attempt=2)) == 0
        assert info(ledger, "b").succeeded == 10

    def test_whoever_follows_is_told_of_each_once(self, ledger, record):
        record(*map(outcome, range(600)), outcome(600, "f"), *map(outcome, range(601, 1200)))
        record(*map(outcome, range(550, 1200)))
        _, found = ResultReader(ledger.client, ledger.settings, "b").after("0-0", 0)
        assert sorted(result.index for result in found) == list(range(1200))

    def test_neighbours_are_told_of_together_however_they_ended(self, ledger, record):
        record(*(outcome(index, "f" if index % 3 == 2 else "s") for index in range(100)))
        ((_, told),) = ledger.client.xrange(ledger.key("b", "events"))
        assert told == {"ranges": "0-99"}

    def test_a_hash_is_walked_once_however_many_ranges_of_it_are_consumed(self, ledger, record):
        for index in range(100):
            record(outcome(index, "f" if index % 3 == 2 else "s"))
        ledger.client.config_resetstat()
        one = ResultConsumer(ledger.client, ledger.settings, "b", int(ledger.state("b")["created"]))
        assert len(list(one.noted(ResultReader(ledger.client, ledger.settings, "b").in_order(0, 100)))) == 100
        one.consume(below=0)
        # The reader looked for fields too.
        assert ledger.client.info("commandstats")["cmdstat_hkeys"]["calls"] == 2
        assert fields(ledger) == [str(index) for index in range(2, 100, 3)]

    def test_large_ones_share_no_field(self, ledger, record):
        text = '"' + "x" * RUN_BYTES + '"'
        record(*(outcome(index, value=text) for index in range(4)))
        assert fields(ledger) == ["0", "1", "2", "3"]


def test_a_run_of_which_a_part_was_consumed_shows_the_rest(ledger, record):
    ledger.heartbeat(WORKER, heartbeat(), [])
    record(*map(outcome, range(20)))
    reader = ResultReader(ledger.client, ledger.settings, "b")
    for first, end, left in ((3, 12, [0, 1, 2, *range(12, 20)]), (12, 20, [0, 1, 2]), (0, 3, [])):
        one = ResultConsumer(ledger.client, ledger.settings, "b", int(ledger.state("b")["created"]))
        assert [result.index for result in one.noted(reader.in_order(first, end))] == list(range(first, end))
        one.consume(below=0)
        assert list(read(ledger)) == left
        assert fields(ledger) == (["0:20"] if left else [])
    assert info(ledger, "b").consumed == 20


@given(
    st.dictionaries(
        st.integers(0, 1500), st.tuples(st.sampled_from("sfd"), st.integers(1, 2), st.sampled_from([9, 9000]))
    )
)
def test_runs_and_the_others_are_all_that_was_given(drawn):
    given_ = [Outcome(index, state, attempt, "x" * size) for index, (state, attempt, size) in sorted(drawn.items())]
    count, *flat = flattened(given_)
    runs = [tuple(flat[place : place + 3]) for place in range(0, 3 * count, 3)]
    alone = [Outcome(*flat[place : place + 4]) for place in range(3 * count, len(flat), 4)]
    for first, span, texts in runs:
        lines = texts.split("\n")
        assert first // BUCKET == (first + span - 1) // BUCKET
        assert len(lines) == span
        assert sum(map(len, lines[:-1])) <= RUN_BYTES
        alone += [Outcome(first + place, "s", 1, line) for place, line in enumerate(lines)]
    assert sorted(alone, key=lambda each: each.index) == given_
    assert all(one[0] + one[1] <= two[0] for one, two in pairwise(runs))
