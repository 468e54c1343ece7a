"""A batch that waits for others, by direct calls of the scripts: when it begins, and when it is cancelled."""

import pytest

from gristmill.batches.info import State
from gristmill.batches.repair import Repair
from gristmill.errors import InputError
from tests.support.ledger import FIELDS, counts, heal, info, outcomes, pop, run_all, states, submit


def end_one(ledger, state="succeeded"):
    """Record one chunk, in which each item ends alike; the batch."""
    chunk = pop(ledger)
    while (work := ledger.take(chunk)) is None:
        chunk = pop(ledger)
    ledger.record(chunk, outcomes(work.items, state), 0.1, "w")
    return chunk.batch


def test_a_batch_begins_in_the_step_that_ends_the_one_before_it(ledger):
    submit(ledger, "a", 1)
    submit(ledger, "b", 2, after="a")
    submit(ledger, "c", 1, after="b")
    assert states(ledger, "a", "b", "c") == ["running", "waiting", "waiting"]
    assert counts(ledger) == {"open": 1, "paused": 3, "in_flight:0": 1}
    order = []
    while ledger.client.xlen(ledger.settings.key("q:cpu:0")):
        order.append(end_one(ledger))
    assert order == ["a", "b", "b", "c"]
    assert states(ledger, "a", "b", "c") == 3 * ["succeeded"]
    assert counts(ledger) == {}


@pytest.mark.parametrize(("how", "reason"), [("failed", "a failed"), ("cancelled", "a was cancelled")])
def test_what_can_no_longer_come_true_is_cancelled_with_its_reason(ledger, control, how, reason):
    submit(ledger, "a", 1)
    submit(ledger, "b", 2, after="a")
    submit(ledger, "c", 1, after="b")
    submit(ledger, "whatever", 1, after="a:ended")
    if how == "failed":
        end_one(ledger, "failed")
    else:
        control.cancel("a", "by me")
    assert states(ledger, "b", "c", "whatever") == ["cancelled", "cancelled", "running"]
    assert (info(ledger, "b").reason, info(ledger, "b").cancelled) == (reason, 2)
    assert info(ledger, "c").reason == "b was cancelled"
    assert end_one(ledger) == "whatever"
    assert states(ledger, "whatever") == ["succeeded"]
    assert counts(ledger) == {}


def test_successes_that_halt_a_batch_are_a_success(ledger):
    submit(ledger, "a", 2, halt="success=1")
    submit(ledger, "b", 1, after="a")
    end_one(ledger)
    assert states(ledger, "a", "b") == ["cancelled", "running"]


def test_a_batch_waits_for_each_of_several(ledger):
    submit(ledger, "a", 1)
    submit(ledger, "b", 1)
    submit(ledger, "c", 1, after="a b:ended")
    assert end_one(ledger) == "a"
    assert states(ledger, "c") == ["waiting"]
    assert end_one(ledger, "failed") == "b"
    assert states(ledger, "c") == ["running"]


def test_what_has_ended_before_counts_at_once(ledger):
    submit(ledger, "good", 1)
    submit(ledger, "bad", 1)
    end_one(ledger)
    end_one(ledger, "failed")
    submit(ledger, "b", 1, after="good bad:ended")
    submit(ledger, "c", 1, after="good bad")
    assert states(ledger, "b", "c") == ["running", "cancelled"]
    assert info(ledger, "c").reason == "bad failed"
    ledger.client.pexpire(ledger.key("good", "state"), 60_000)
    submit(ledger, "d", 1, after="good")
    assert 0 < ledger.client.pttl(ledger.key("good", "dependents")) <= 60_000


def test_a_batch_that_is_not_there_is_refused(ledger):
    submit(ledger, "a", 1)
    with pytest.raises(InputError) as caught:
        submit(ledger, "b", 1, after="a none")
    assert "'none'" in str(caught.value)
    assert "after" in str(caught.value)
    assert ledger.names() == ["a"]


def test_all_items_are_stored_before_the_batch_is_cancelled(ledger):
    submit(ledger, "a", 1)
    ledger.create("b", "token", {**FIELDS, "after": "a"})
    end_one(ledger, "failed")
    assert states(ledger, "b") == ["submitting"]
    ledger.append("b", "token", 0, ["0", "1"], "sha")
    ledger.end("b", "token", 0)
    state = info(ledger, "b")
    assert (state.state, state.cancelled, state.reason) == (State.CANCELLED, 2, "a failed")


def test_a_retry_makes_a_batch_that_had_not_begun_wait_again(ledger, control):
    submit(ledger, "a", 1)
    submit(ledger, "b", 2, after="a")
    end_one(ledger, "failed")
    assert control.retry("a") == 1
    assert control.retry("b", cancelled=True) == 2
    assert states(ledger, "a", "b") == ["running", "waiting"]
    assert counts(ledger) == {"open": 1, "paused": 2, "in_flight:0": 1}
    assert end_one(ledger) == "a"
    run_all(ledger)
    assert states(ledger, "a", "b") == ["succeeded", "succeeded"]
    assert info(ledger, "b").superseded == ()


def test_a_batch_whose_items_somebody_wants_all_the_same_runs(ledger, control):
    submit(ledger, "a", 1)
    submit(ledger, "b", 1, after="a")
    end_one(ledger, "failed")
    control.retry("b", cancelled=True)
    assert end_one(ledger) == "b"
    assert states(ledger, "a", "b") == ["failed", "succeeded"]


def test_a_batch_that_has_begun_says_that_it_took_the_first_end(ledger, control):
    submit(ledger, "a", 1)
    submit(ledger, "b", 1, after="a:ended")
    end_one(ledger, "failed")
    control.retry("a")
    assert states(ledger, "a", "b") == ["running", "running"]
    assert info(ledger, "b").superseded == ("a",)
    run_all(ledger)
    assert states(ledger, "a", "b") == ["succeeded", "succeeded"]


def test_a_batch_that_still_waits_for_another_waits_for_the_retry_too(ledger, control):
    submit(ledger, "a", 1)
    submit(ledger, "other", 1)
    submit(ledger, "b", 1, after="a:ended other")
    assert end_one(ledger, "failed") == "a"
    control.retry("a")
    assert end_one(ledger) == "other"
    assert states(ledger, "b") == ["waiting"]
    assert end_one(ledger) == "a"
    assert states(ledger, "b") == ["running"]
    assert info(ledger, "b").superseded == ()


def test_a_batch_is_not_deleted_while_another_waits_for_it(ledger, control):
    submit(ledger, "a", 1)
    submit(ledger, "b", 1, after="a")
    with pytest.raises(InputError) as caught:
        ledger.delete("a")
    assert "'b'" in str(caught.value)
    ledger.delete("b")
    assert counts(ledger) == {"open": 1, "in_flight:0": 1}
    submit(ledger, "c", 1, after="a")
    control.cancel("c", "by me")
    ledger.delete("a")
    assert ledger.names() == ["c"]


def test_pause_and_cancel_of_a_batch_that_waits(ledger, control):
    submit(ledger, "a", 1)
    submit(ledger, "b", 2, after="a")
    assert control.pause("b")
    assert counts(ledger) == {"open": 1, "paused": 2, "in_flight:0": 1}
    end_one(ledger)
    assert states(ledger, "b") == ["paused"]
    assert control.resume("b")
    assert counts(ledger)["open"] == 2
    submit(ledger, "c", 3, after="b")
    assert control.cancel("c", "by me") == []
    assert states(ledger, "c") == ["cancelled"]
    run_all(ledger)
    assert counts(ledger) == {}


def test_many_dependents_are_told_in_portions_and_all_of_them(ledger):
    submit(ledger, "a", 1, ttl=60_000)
    names = [f"b{number}" for number in range(230)]
    for name in names:
        submit(ledger, name, 1, after="a:ended")
    end_one(ledger)
    assert sum(info(ledger, name).state is State.WAITING for name in names) == 130
    assert ledger.client.pttl(ledger.key("a", "state")) == -1
    heal(ledger)
    heal(ledger)
    assert not any(info(ledger, name).state is State.WAITING for name in names)
    assert ledger.client.pttl(ledger.key("a", "state")) > 0


def test_links_that_disagree_are_mended(ledger):
    repair = Repair(ledger.client, ledger.settings)
    for name in ("a", "other"):
        submit(ledger, name, 1)
    submit(ledger, "b", 2, after="a other:ended")
    ledger.create("taker", "token", {**FIELDS, "from_batch": "a", "from_states": "succeeded"})
    assert (repair.examine("b"), repair.examine("taker")) == ({}, {})
    ledger.client.delete(ledger.key("a", "dependents"), ledger.key("a", "takers"))
    assert repair.examine("b") == repair.mend("b") == {"wrong_links": 1}
    assert repair.mend("taker") == {"wrong_links": 1}
    assert (repair.examine("b"), repair.examine("taker")) == ({}, {})
    assert {end_one(ledger), end_one(ledger)} == {"a", "other"}
    assert states(ledger, "b") == ["running"]
    assert list(ledger.items("taker")) == [(0, "0")]


def test_a_batch_that_waits_for_nothing_begins_once_it_is_mended(ledger):
    """As half of the script leaves it that ended the last batch before it."""
    repair = Repair(ledger.client, ledger.settings)
    submit(ledger, "a", 1)
    submit(ledger, "b", 2, after="a")
    ledger.client.hset(ledger.key("b", "state"), "waiting", 0)
    ledger.client.hset(ledger.key("a", "dependents"), "b", f"{ledger.state('b')['created']}:succeeded:met")
    assert end_one(ledger) == "a"
    assert states(ledger, "b") == ["waiting"]
    assert repair.examine("b") == {"wrong_links": 1}
    repair.mend("b")
    assert repair.examine("b") == {}
    run_all(ledger)
    assert states(ledger, "a", "b") == 2 * ["succeeded"]
    assert counts(ledger) == {}
