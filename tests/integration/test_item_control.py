"""One item of a batch cancelled, or run again: the others go on, and nothing is lost or counts twice."""

import json

import pytest

from gristmill.batches.chunk import Chunk
from gristmill.batches.info import State
from gristmill.errors import InputError
from tests.support.controlled import begin, record, results
from tests.support.ledger import WORKER, enlist, heartbeat, info, outcomes, pop, queue_key, submit


def told(ledger, ended=()):
    """What the worker is to end, by its next heartbeat."""
    return ledger.heartbeat(WORKER, heartbeat(16), [], ended)[2]


def counts(ledger):
    state = info(ledger, "b")
    return state.succeeded, state.failed, state.dead, state.cancelled, state.left


class TestCancel:
    def test_an_item_that_waits_never_runs(self, ledger, control):
        submit(ledger, "b", 3)
        assert control.cancel_item("b", 1, "item 1 by me") == "waiting"
        assert (counts(ledger), told(ledger)) == ((0, 0, 0, 1, 2), [])
        ran = []
        while chunk := pop(ledger):
            items = ledger.take(chunk, WORKER).items
            ran += [item.index for item in items]
            record(ledger, chunk, items)
        assert ran == [0, 2]
        state = info(ledger, "b")
        assert (state.state, state.reason, state.exit_code) == (State.CANCELLED, "item 1 by me", 1)
        assert [one.state for one in results(ledger, 3)] == ["succeeded", "cancelled", "succeeded"]

    def test_the_worker_of_an_item_that_runs_is_told_until_it_has_ended_the_run(self, ledger, control):
        submit(ledger, "b", 2)
        chunk, items = begin(ledger)
        assert control.cancel_item("b", 0, "by me") == "running"
        assert told(ledger) == told(ledger) == ["b#0"]
        assert told(ledger, ["b#0"]) == []
        # What comes all the same is a duplicate.
        assert record(ledger, chunk, items) == 1
        assert counts(ledger) == (0, 0, 0, 1, 1)
        assert info(ledger, "b").reason is None, "the batch goes on"

    def test_the_neighbours_of_an_item_whose_process_was_ended_go_on_at_once(self, ledger, control):
        ledger.heartbeat(WORKER, {**heartbeat(16), "async_items": 4}, [])
        submit(ledger, "b", 4, is_async=1)
        chunk, items = begin(ledger)
        assert len(items) == 4
        control.cancel_item("b", 2, "by me")
        # The message is acknowledged, as `pop` did; a worker says for three seconds nothing of the chunk.
        assert told(ledger) == ["b#2"]
        assert pop(ledger) is None
        told(ledger, ["b#2"])
        again = pop(ledger)
        assert again == chunk
        assert [item.index for item in ledger.take(again, WORKER).items] == [0, 1, 3]

    def test_a_chunk_whose_message_stands_is_not_put_again(self, ledger, control):
        submit(ledger, "b", 1)
        (identity, fields), *_ = ledger.client.xrange(queue_key(ledger))
        _, batch, epoch, first, count, _ = json.loads(json.loads(fields["m"])["body"])[0]
        ledger.take(Chunk(batch, epoch, first, count), WORKER)
        control.cancel_item("b", 0, "by me")
        told(ledger, ["b#0"])
        assert [one for one, _ in ledger.client.xrange(queue_key(ledger))] == [identity]

    def test_the_last_item_ends_the_batch_and_leaves_nothing_for_ever(self, ledger, control):
        submit(ledger, "b", 1, ttl=60_000)
        chunk, items = begin(ledger)
        control.cancel_item("b", 0, "by me")
        assert info(ledger, "b").state is State.CANCELLED
        record(ledger, chunk, items)
        lasting = [key for key in ledger.client.scan_iter(ledger.key("b", "*")) if ledger.client.pttl(key) < 0]
        assert lasting == []

    def test_an_item_that_waits_for_another_attempt(self, ledger, control):
        submit(ledger, "b", 1)
        record(ledger, *begin(ledger), "failed", retry_ms=60_000)
        assert control.cancel_item("b", 0, "by me") == "waiting"
        assert [(one.state, one.attempts) for one in results(ledger, 1)] == [("cancelled", 1)]
        assert ledger.client.exists(ledger.key("b", "retry")) == 0

    def test_an_item_with_an_outcome_stays_as_it_is(self, ledger, control):
        submit(ledger, "b", 2)
        record(ledger, *begin(ledger))
        assert control.cancel_item("b", 0, "by me") == "ended"
        assert counts(ledger) == (1, 0, 0, 0, 1)

    @pytest.mark.parametrize("call", [lambda c: c.cancel_item("b", 2, ""), lambda c: c.retry_item("b", 2)])
    def test_an_index_that_the_batch_does_not_have(self, ledger, control, call):
        submit(ledger, "b", 2)
        with pytest.raises(InputError, match="invalid value for item: 2"):
            call(control)
        assert info(ledger, "b").submitted == 2


class TestRetry:
    @pytest.mark.parametrize("state", ["failed", "dead"])
    def test_only_that_item_runs_again(self, ledger, control, state):
        enlist(ledger)
        submit(ledger, "b", 3)
        while chunk := pop(ledger):
            record(ledger, chunk, ledger.take(chunk, WORKER).items, state)
        assert control.retry_item("b", 1)
        assert not control.retry_item("b", 1), "it has not failed any more"
        chunk, items = begin(ledger)
        assert [(item.index, item.attempt, item.before) for item in items] == [(1, 2, 1)]
        record(ledger, chunk, items)
        state = info(ledger, "b")
        assert (state.succeeded, state.failed + state.dead, state.left, state.state) == (1, 2, 0, State.FAILED)
        assert pop(ledger) is None
        assert not control.retry_item("b", 1), "it succeeded"

    def test_a_cancelled_item_that_waits_runs_once(self, ledger, control):
        submit(ledger, "b", 40)
        for index in (0, 30):
            control.cancel_item("b", index, "by me")
        assert control.retry_item("b", 0)
        assert control.retry("b", cancelled=True) == 1
        ran = []
        while chunk := pop(ledger):
            items = ledger.take(chunk, WORKER).items
            ran += [item.index for item in items]
            record(ledger, chunk, items)
        assert sorted(ran) == list(range(40))
        assert (info(ledger, "b").state, info(ledger, "b").duplicates) == (State.SUCCEEDED, 0)

    def test_a_cancelled_item_whose_chunk_runs_is_not_lost(self, ledger, control):
        submit(ledger, "b", 1)
        chunk, items = begin(ledger)
        # The coroutine ends without an outcome, and the batch goes on.
        control.cancel_item("b", 0, "by me")
        assert control.retry_item("b", 0)
        again, items = begin(ledger)
        assert again.epoch == chunk.epoch + 1
        ledger.record(chunk, [], 0.0, WORKER)
        record(ledger, again, items)
        assert counts(ledger) == (1, 0, 0, 0, 0)

    def test_a_failed_item_of_a_chunk_that_goes_on(self, ledger, control):
        """The chunk leaves flight though one of its items has no outcome: `retry` has it."""
        ledger.heartbeat(WORKER, {**heartbeat(16), "async_items": 4}, [])
        submit(ledger, "b", 4, is_async=1)
        chunk, items = begin(ledger)
        assert len(items) == 4
        ledger.record(chunk, outcomes(items[:1], "failed"), 0.1, WORKER, rest=-1)
        assert control.retry_item("b", 0)
        ledger.record(chunk, outcomes(items[1:]), 0.1, WORKER)
        assert chunk.member not in ledger.client.zrange(ledger.key("b", "in_flight"), 0, -1)

    def test_while_the_batch_is_being_cancelled(self, ledger, control):
        submit(ledger, "b", 2)
        begin(ledger)
        control.cancel("b", "by me")
        with pytest.raises(InputError, match="being cancelled"):
            control.retry_item("b", 1)
