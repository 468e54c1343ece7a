"""Outcomes are kept in runs, and counted, read and consumed one by one all the same."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gristmill.batches import reader
from gristmill.batches.chunk import Chunk, Outcome
from gristmill.batches.outcomes import BUCKET, GROUP_BYTES, groups, span_of, stored
from gristmill.batches.reader import ResultReader
from gristmill.batches.repair import Repair
from gristmill.batches.result_consumer import ResultConsumer
from tests.support.ledger import WORKER, heal, heartbeat, info, outcomes, pop, run_all, submit


def outcome(index, state="succeeded", attempt=1, value=None, retry_ms=None):
    return Outcome(index, state, attempt, str(index if value is None else value), 0.1, WORKER, 1, retry_ms)


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
        assert (
            record(
                *map(outcome, range(3)),
                outcome(3, "failed"),
                *map(outcome, range(4, 6)),
                outcome(6, "failed", retry_ms=60_000),
            )
            == 0
        )
        assert record(outcome(6, attempt=2), outcome(7)) == 0
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
        assert record(outcome(5, "failed", retry_ms=60_000)) == 0
        assert record(*map(outcome, range(10))) == 1
        assert 5 not in read(ledger)
        assert record(outcome(5, attempt=2)) == 0
        assert info(ledger, "b").succeeded == 10

    def test_whoever_follows_is_told_of_each_once(self, ledger, record):
        record(*map(outcome, range(600)), outcome(600, "failed"), *map(outcome, range(601, 1200)))
        record(*map(outcome, range(550, 1200)))
        _, found = ResultReader(ledger.client, ledger.settings, "b").after("0-0", 0)
        assert sorted(result.index for result in found) == list(range(1200))

    def test_what_replicas_have_to_confirm_is_read_in_larger_pages(self, ledger, record, monkeypatch):
        """A confirmation takes longer than a page: what workers record meanwhile makes one page."""
        for first in range(0, 1200, 20):
            record(*map(outcome, range(first, first + 20)))
        assert len(ResultReader(ledger.client, ledger.settings, "b").after("0-0", 0)[1]) < 200
        pages = []

        def confirmed(client, _, work):
            pages.append(work)
            return work(client)

        monkeypatch.setattr(reader, "confirmed", confirmed)
        confirming = ResultReader(ledger.client, ledger.settings.model_copy(update={"confirm_replicas": 2}), "b")
        event, found = confirming.after("0-0", 0)
        assert [result.index for result in found] == list(range(1200))
        assert confirming.after(event, 0)[1] == []
        monkeypatch.setattr(reader, "_ITEMS_TO_CONFIRM", 500)
        event, found = confirming.after("0-0", 0)
        assert len(found) == 500
        found += confirming.after(event, 0)[1]
        assert [result.index for result in found] == list(range(1000))
        assert len(pages) == 4

    def test_neighbours_are_told_of_together_however_they_ended(self, ledger, record):
        record(*(outcome(index, "failed" if index % 3 == 2 else "succeeded") for index in range(100)))
        ((_, told),) = ledger.client.xrange(ledger.key("b", "events"))
        assert told == {"ranges": "0-99"}

    def test_a_hash_is_walked_once_however_many_ranges_of_it_are_consumed(self, ledger, record):
        for index in range(100):
            record(outcome(index, "failed" if index % 3 == 2 else "succeeded"))
        ledger.client.config_resetstat()
        one = ResultConsumer(ledger.client, ledger.settings, "b", int(ledger.state("b")["created"]))
        assert len(list(one.noted(ResultReader(ledger.client, ledger.settings, "b").in_order(0, 100)))) == 100
        one.consume(below=0)
        # The reader looked for fields too.
        assert ledger.client.info("commandstats")["cmdstat_hkeys"]["calls"] == 2
        assert fields(ledger) == [str(index) for index in range(2, 100, 3)]

    def test_large_ones_share_no_field(self, ledger, record):
        text = '"' + "x" * GROUP_BYTES + '"'
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


@pytest.mark.parametrize("retry_ms", [None, 60_000])
def test_what_retry_gave_back_waits_no_more_once_a_slot_that_had_it_has_recorded_it(ledger, control, retry_ms):
    """The slot's worker dies after the retry, and another one gets the chunk with all items that have no outcome."""
    submit(ledger, "b", 14)
    run_all(ledger, state="failed")
    heal(ledger)
    assert control.retry("b") == 14
    chunk = pop(ledger)
    work = ledger.take(chunk, WORKER)
    ledger.record(chunk, outcomes(work.items[:2], "failed"), 0.001, WORKER, rest=-1)
    assert control.retry("b") == 2
    pending = ledger.key("b", "retry_pending")
    assert [ledger.client.getbit(pending, index) for index in (0, 1)] == [1, 1]
    again = ledger.take(chunk, "cpu@b")
    ledger.record(chunk, outcomes(again.items[:1], "failed", retry_ms), 0.001, "cpu@b", rest=-1)
    assert [ledger.client.getbit(pending, index) for index in (0, 1)] == [0, 1]
    assert Repair(ledger.client, ledger.settings).examine("b") == {}


@given(
    st.dictionaries(
        st.integers(0, 1500),
        st.tuples(
            st.sampled_from(["succeeded", "failed", "dead"]),
            st.integers(1, 2),
            st.sampled_from([9, 9000]),
            st.sampled_from([None, None, 50]),
        ),
    )
)
def test_groups_are_all_that_was_given(drawn):
    given_ = [
        Outcome(index, state, attempt, f'"{"x" * size}"', index / 8, WORKER, attempt, retry_ms)
        for index, (state, attempt, size, retry_ms) in sorted(drawn.items())
    ]
    flat, read_back, end = groups(given_), [], 0
    for place in range(0, len(flat), 7):
        first, count, state, attempt, delay, header, values = flat[place : place + 7]
        assert end <= first
        assert first // BUCKET == (first + count - 1) // BUCKET
        assert sum(map(len, values.split("\n")[:-1])) <= GROUP_BYTES + 9002
        assert count == 1 or delay == ""
        for index, one in enumerate(stored(f"{header}\n{values}"), first):
            assert (one.state, one.attempts) == (state, attempt)
            text = f'"{one.value}"'
            read_back.append(Outcome(index, state, attempt, text, one.seconds, one.worker, one.pid, delay or None))
        end = first + count
    assert read_back == given_
