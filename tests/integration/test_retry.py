"""What `retry` gives back on a real server, and late outcomes of what was before."""

import pytest

from gristmill.batches.info import State
from gristmill.batches.reader import ResultReader
from gristmill.errors import InputError
from tests.support.controlled import begin, record, results, run_all_again
from tests.support.ledger import WORKER, heartbeat, info, let_time_pass, outcomes, pop, queue_key, submit


class TestRetry:
    def test_only_what_failed_runs_again_and_the_latest_outcome_counts(self, ledger, control):
        ledger.heartbeat(WORKER, heartbeat(), [])
        submit(ledger, "b", 1200)
        while chunk := pop(ledger):
            items = ledger.take(chunk, WORKER).items
            done = [one for item in items for one in outcomes([item], "failed" if item.index % 5 == 0 else "succeeded")]
            ledger.record(chunk, done, 0.001 * len(items), WORKER)
        assert (info(ledger, "b").failed, info(ledger, "b").state) == (240, State.FAILED)
        assert control.retry("b") == 240
        state = info(ledger, "b")
        assert (state.succeeded, state.failed, state.left, state.state, state.finished) == (
            960,
            0,
            240,
            State.RUNNING,
            None,
        )
        assert [one.index for one in results(ledger, 1200)] == [n for n in range(1200) if n % 5]
        ran, chunks = [], 0
        while chunk := pop(ledger):
            items = ledger.take(chunk, WORKER).items
            ran, chunks = [*ran, *items], chunks + 1
            record(ledger, chunk, items)
        assert sorted(item.index for item in ran) == list(range(0, 1200, 5))
        assert {(item.attempt, item.before) for item in ran} == {(2, 1)}
        assert chunks < 150, "a chunk passes over items that are done"
        assert (info(ledger, "b").succeeded, info(ledger, "b").duplicates) == (1200, 0)
        assert {one.attempts for one in results(ledger, 1200) if one.index % 5 == 0} == {2}
        _, followed = ResultReader(ledger.client, ledger.settings, "b").after("0-0", 0)
        assert followed
        assert control.retry("b") == 0

    def test_the_cancelled_ones_when_asked(self, ledger, control):
        submit(ledger, "b", 50)
        record(ledger, *begin(ledger), "failed")
        control.cancel("b", "by me")
        assert control.retry("b") == 1
        run_all_again(ledger)
        assert (info(ledger, "b").state, info(ledger, "b").cancelled) == (State.CANCELLED, 49)
        assert control.retry("b", cancelled=True) == 49
        run_all_again(ledger)
        state = info(ledger, "b")
        assert (state.state, state.succeeded, state.reason) == (State.SUCCEEDED, 50, None)

    def test_messages_of_before_are_void(self, ledger, control):
        submit(ledger, "b", 20)
        chunk, items = begin(ledger)
        control.cancel("b", "by me", [WORKER])
        stale = [pop(ledger) for _ in range(ledger.client.xlen(queue_key(ledger)))]
        control.retry("b", cancelled=True)
        assert [ledger.take(one, WORKER) for one in stale] == [None] * len(stale)
        assert record(ledger, chunk, items) == 1
        run_all_again(ledger)
        assert (info(ledger, "b").succeeded, info(ledger, "b").duplicates) == (20, 1)

    def test_while_others_run(self, ledger, control):
        submit(ledger, "b", 3)
        (failed, bad), (runs, good) = begin(ledger), begin(ledger)
        record(ledger, failed, bad, "failed")
        assert control.retry("b") == 1
        assert record(ledger, runs, good) == 0, "what ran meanwhile counts"
        run_all_again(ledger)
        state = info(ledger, "b")
        assert (state.succeeded, state.duplicates) == (3, 0)

    def test_a_late_outcome_of_an_earlier_attempt_changes_nothing(self, ledger, control):
        submit(ledger, "b", 2)
        chunk, items = begin(ledger)
        record(ledger, chunk, items, "failed")
        control.retry("b")
        again = next(one for one in (pop(ledger), pop(ledger)) if one == chunk)
        assert record(ledger, chunk, items, "succeeded") == 1
        assert info(ledger, "b").left == 2
        # The chunk of the next attempt has the same name, and is not lost with it.
        assert [item.attempt for item in ledger.take(again, WORKER).items] == [2]

    def test_the_late_end_of_an_attempt_does_not_lose_the_next(self, ledger):
        submit(ledger, "b", 1, retries=2)
        chunk, items = begin(ledger)
        record(ledger, chunk, items, "failed", retry_ms=1)
        let_time_pass(ledger, "b")
        assert pop(ledger) == chunk
        assert record(ledger, chunk, items, "failed", retry_ms=1) == 1
        assert [item.attempt for item in ledger.take(chunk, WORKER).items] == [2]

    def test_not_while_it_is_being_cancelled(self, ledger, control):
        submit(ledger, "b", 3)
        record(ledger, *begin(ledger), "failed")
        begin(ledger)
        control.cancel("b", "by me")
        with pytest.raises(InputError, match="'b' is being cancelled"):
            control.retry("b")

    def test_retried_items_may_be_tried_as_often_as_at_first(self, ledger, control):
        submit(ledger, "b", 1, retries=1)
        for number, (retry_ms, due) in enumerate([(1, 1), (None, 0), (1, 1), (None, 0)]):
            chunk, items = begin(ledger)
            assert [(item.attempt, item.before) for item in items] == [(number + 1, number // 2 * 2)]
            ledger.record(chunk, outcomes(items, "failed", retry_ms), 0.001, WORKER)
            if due:
                let_time_pass(ledger, "b")
            else:
                assert control.retry("b") == 1
        run_all_again(ledger)
        assert [one.attempts for one in results(ledger, 1)] == [5]
