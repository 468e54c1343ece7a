"""`retry` of a whole workflow, by direct calls of the scripts: who waits again, and who takes further values."""

import json

import pytest

from gristmill import open_batch
from gristmill.batches.chunk import Outcome
from gristmill.batches.info import State
from gristmill.errors import InputError
from gristmill.fleet.announcement import Announcement
from gristmill.fleet.registry import WorkerRegistry
from tests.support.ledger import FIELDS, WORKER, counts, heal, info, outcomes, pop, run_all, states, submit, take_from

#: A list of more elements than one step of the server takes apart.
LONG = 2500
LIST = json.dumps(list(range(LONG)))


@pytest.fixture
def retry(control):
    """Retry batches as a workflow, the oldest first; the number of items of each."""
    return lambda *names, cancelled=False: [control.retry(name, cancelled=cancelled, workflow=True) for name in names]


def end_next(ledger, *states):
    """Record the next chunk that has items, each with its state; the batch."""
    chunk = pop(ledger)
    while (work := ledger.take(chunk)) is None:
        chunk = pop(ledger)
    ended = [outcomes([item], state)[0] for item, state in zip(work.items, states, strict=True)]
    ledger.record(chunk, ended, 0.1, "w")
    return chunk.batch


def stored(ledger, name):
    return sorted(int(text) for _, text in ledger.items(name))


def fail_one(ledger, name="a"):
    """Submit a batch of two items, of which the second one fails."""
    submit(ledger, name, 2)
    return lambda: [end_next(ledger, "succeeded"), end_next(ledger, "failed")]


def test_a_batch_of_values_takes_those_that_come_now(ledger, retry):
    end = fail_one(ledger)
    take_from(ledger, "b", "a")
    take_from(ledger, "c", "b")
    end()
    run_all(ledger)
    assert states(ledger, "a", "b", "c") == ["failed", "succeeded", "succeeded"]
    assert retry("a", "b", "c") == [1, 0, 0]
    assert states(ledger, "a", "b", "c") == 3 * ["running"]
    assert info(ledger, "b").superseded == info(ledger, "c").superseded == ()
    run_all(ledger)
    assert states(ledger, "a", "b", "c") == 3 * ["succeeded"]
    assert (stored(ledger, "b"), stored(ledger, "c")) == ([0, 1], [0, 1])
    assert counts(ledger) == {}
    assert retry("a", "b", "c") == [0, 0, 0]
    assert states(ledger, "a", "b", "c") == 3 * ["succeeded"]


def test_what_was_recorded_before_the_batch_of_values_is_retried_is_taken_too(ledger, control, retry):
    end = fail_one(ledger)
    take_from(ledger, "b", "a")
    end()
    run_all(ledger)
    control.retry("a")
    assert info(ledger, "b").superseded == ("a",)
    run_all(ledger)
    assert stored(ledger, "b") == [0]
    assert retry("a", "b") == [0, 0]
    assert info(ledger, "b").superseded == ()
    run_all(ledger)
    assert (states(ledger, "b"), stored(ledger, "b")) == (["succeeded"], [0, 1])


def test_its_own_failed_items_run_too(ledger, retry):
    end = fail_one(ledger)
    take_from(ledger, "b", "a")
    end()
    run_all(ledger, state="failed")
    assert states(ledger, "b") == ["failed"]
    assert retry("a", "b") == [1, 1]
    run_all(ledger)
    assert (states(ledger, "a", "b"), stored(ledger, "b")) == (2 * ["succeeded"], [0, 1])


def test_a_batch_that_takes_values_and_waits_does_both_again(ledger, retry):
    end = fail_one(ledger)
    take_from(ledger, "b", "a", after="a")
    end()
    assert (states(ledger, "b"), info(ledger, "b").reason) == (["cancelled"], "a failed")
    assert retry("a", "b") == [1, 1]
    assert states(ledger, "b") == ["waiting"]
    run_all(ledger)
    assert (states(ledger, "a", "b"), stored(ledger, "b")) == (2 * ["succeeded"], [0, 1])
    assert counts(ledger) == {}


def test_a_batch_without_items_goes_on_with_those_before_and_behind_it(ledger, retry):
    submit(ledger, "a", 1)
    take_from(ledger, "b", "a", after="a")
    submit(ledger, "none", 0, after="a")
    submit(ledger, "c", 1, after="b none")
    end_next(ledger, "failed")
    assert states(ledger, "b", "none", "c") == 3 * ["cancelled"]
    assert retry("a", "b", "none", "c") == [1, 0, 0, 1]
    assert states(ledger, "b", "none", "c") == 3 * ["waiting"]
    run_all(ledger)
    assert states(ledger, "a", "b", "none", "c") == 4 * ["succeeded"]
    assert stored(ledger, "b") == [0]


def test_what_fails_once_more_stays_cancelled_behind_it(ledger, control, retry):
    submit(ledger, "a", 1)
    submit(ledger, "b", 1, after="a")
    end_next(ledger, "failed")
    assert control.retry("a", workflow=True) == 1
    # It ends before the one behind it is retried.
    end_next(ledger, "failed")
    assert retry("b") == [0]
    assert (states(ledger, "b"), info(ledger, "b").reason) == (["cancelled"], "a failed")


def test_what_somebody_cancelled_stays_so_unless_cancelled_items_run_again(ledger, control, retry):
    submit(ledger, "a", 1)
    submit(ledger, "b", 1, after="a:ended")
    take_from(ledger, "c", "a")
    control.cancel("b", "by me")
    control.cancel("c", "by me")
    end_next(ledger, "failed")
    assert retry("a", "b", "c") == [1, 0, 0]
    assert states(ledger, "b", "c") == 2 * ["cancelled"]
    assert retry("b", "c", cancelled=True) == [1, 0]
    assert states(ledger, "b", "c") == ["waiting", "running"]
    run_all(ledger)
    assert states(ledger, "a", "b", "c") == 3 * ["succeeded"]
    assert stored(ledger, "c") == [0]


def test_what_somebody_cancelled_after_the_failure_before_it_stays_so(ledger, control, retry):
    submit(ledger, "a", 1)
    # Its input is open: it is not cancelled with the failure before it.
    ledger.create("b", "token", {**FIELDS, "after": "a"})
    end_next(ledger, "failed")
    control.cancel("b", "by me")
    retry("a", "b")
    assert (states(ledger, "b"), info(ledger, "b").reason) == (["cancelled"], "by me")


def test_a_batch_of_values_that_was_cancelled_takes_the_rest_when_it_is_retried(ledger, control):
    submit(ledger, "a", 2)
    take_from(ledger, "b", "a")
    end_next(ledger, "succeeded")
    control.cancel("b", "by me")
    assert info(ledger, "b").superseded == ()
    assert control.retry("b", cancelled=True) == 1
    assert sorted(end_next(ledger, "succeeded") for _ in range(3)) == ["a", "b", "b"]
    assert (states(ledger, "b"), stored(ledger, "b")) == (["succeeded"], [0, 1])
    assert info(ledger, "b").reason is None


def test_a_batch_that_began_at_the_first_end_says_so(ledger, retry):
    end = fail_one(ledger)
    submit(ledger, "b", 1, after="a:ended")
    end()
    run_all(ledger)
    assert retry("a", "b") == [1, 0]
    assert (info(ledger, "b").state, info(ledger, "b").superseded) == (State.SUCCEEDED, ("a",))


def test_a_source_that_expires_is_kept_until_all_is_taken(ledger, control, retry):
    submit(ledger, "a", 2, ttl=60_000)
    take_from(ledger, "b", "a", flatten=1)
    end_next(ledger, "succeeded")
    end_next(ledger, "failed")
    run_all(ledger)
    control.retry("a")
    chunk = pop(ledger)
    (item,) = ledger.take(chunk).items
    ledger.record(chunk, [Outcome(item.index, "succeeded", item.attempt, LIST, 0.1, "w", 1)], 0.1, "w")
    assert ledger.client.pttl(ledger.key("a", "state")) > 0
    assert retry("b") == [0]
    assert (info(ledger, "b").taking, ledger.client.pttl(ledger.key("a", "state"))) == (True, -1)
    heal(ledger)
    run_all(ledger)
    heal(ledger)
    assert (info(ledger, "b").submitted, ledger.client.pttl(ledger.key("a", "state")) > 0) == (1 + LONG, True)


def test_values_stay_until_they_are_taken_and_are_not_those_of_a_new_batch(ledger, control, retry):
    submit(ledger, "a", 2, ttl=60_000)
    take_from(ledger, "b", "a")
    end_next(ledger, "succeeded")
    end_next(ledger, "failed")
    run_all(ledger)
    heal(ledger)
    assert ledger.client.pttl(ledger.key("a", "state")) > 0
    assert retry("a", "b") == [1, 0]
    run_all(ledger)
    with_all = stored(ledger, "b")
    heal(ledger)
    assert (with_all, ledger.client.pttl(ledger.key("a", "state")) > 0) == ([0, 1], True)
    ledger.delete("a")
    submit(ledger, "a", 3)
    run_all(ledger)
    assert retry("b") == [0]
    assert stored(ledger, "b") == with_all


def test_a_batch_that_takes_further_values_keeps_its_source(ledger, retry):
    end = fail_one(ledger)
    take_from(ledger, "b", "a")
    end()
    run_all(ledger)
    assert retry("a", "b") == [1, 0]
    with pytest.raises(InputError) as caught:
        ledger.delete("a")
    assert "'b'" in str(caught.value)


def test_python_retries_every_batch_of_the_workflow(here):
    ledger = here
    fail = fail_one(ledger)
    WorkerRegistry(ledger.client, ledger.settings).announce(WORKER, {"fibonacci": Announcement("f")})
    ledger.create("b", "token", {**FIELDS, "after": "a"})
    ledger.append("b", "token", 0, ["0"], "sha")
    ledger.end("b", "token", 0)
    fail()
    assert states(ledger, "a", "b") == ["failed", "cancelled"]
    # The failed item of `a`, and that of `b`, which had not begun, and waits again.
    assert open_batch("b").retry(workflow=True) == 2
    with pytest.raises(InputError, match="workflow=True"):
        open_batch("b").retry(item=0, workflow=True)
    assert states(ledger, "a", "b") == ["running", "waiting"]
    run_all(ledger)
    assert states(ledger, "a", "b") == ["succeeded", "succeeded"]
