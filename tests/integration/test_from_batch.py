"""A batch whose items are the values of another one, by direct calls of the scripts."""

import json

import pytest

from gristmill.batches.chunk import Chunk, Outcome
from gristmill.batches.info import State
from gristmill.batches.reader import ResultReader
from gristmill.batches.repair import Repair
from gristmill.batches.result_consumer import ResultConsumer
from gristmill.errors import InputError
from tests.support.ledger import enlist, heal, info, outcomes, pop, submit, take_from


def begin(ledger, batch):
    """Take the next chunk of a batch; others stay on the queue."""
    key = ledger.settings.key("q:cpu:0")
    for identity, fields in ledger.client.xrange(key):
        chunk = _chunk(fields)
        if chunk.batch == batch:
            ledger.client.xdel(key, identity)
            work = ledger.take(chunk)
            if work is not None:
                return chunk, work.items
    return None


def _chunk(fields):
    _, batch, epoch, first, count, _ = json.loads(json.loads(fields["m"])["body"])[0]
    return Chunk(batch, epoch, first, count)


def end(ledger, batch, *values, state="succeeded"):
    """Record the items of a batch in their order, with these values."""
    left = list(values)
    while left:
        chunk, items = begin(ledger, batch)
        texts = [json.dumps(left.pop(0)) for _ in items]
        ended = [Outcome(i.index, state, i.attempt, t, 0.1, "w", 1) for i, t in zip(items, texts, strict=True)]
        ledger.record(chunk, ended, 0.1, "w")


def stored(ledger, name):
    return [json.loads(text) for _, text in ledger.items(name)]


def test_values_become_items_as_they_are_recorded(ledger):
    submit(ledger, "a", 3)
    take_from(ledger, "b", "a")
    assert info(ledger, "b").state is State.RUNNING
    end(ledger, "a", "one", {"n": 2})
    assert stored(ledger, "b") == ["one", {"n": 2}]
    assert "input_ended" not in ledger.state("b")
    end(ledger, "b", 1, 2)
    assert info(ledger, "b").state is State.RUNNING
    end(ledger, "a", [3])
    assert stored(ledger, "b") == ["one", {"n": 2}, [3]]
    end(ledger, "b", 3)
    assert (info(ledger, "a").state, info(ledger, "b").state) == (State.SUCCEEDED, State.SUCCEEDED)
    results = ResultReader(ledger.client, ledger.settings, "b").in_order(0, 3)
    assert [(one.input, one.value) for one in results] == [("one", 1), ({"n": 2}, 2), ([3], 3)]


def test_what_is_recorded_already_comes_first_and_failures_are_left_out(ledger):
    submit(ledger, "a", 6)
    end(ledger, "a", "x", state="failed")
    end(ledger, "a", 1, 2)
    take_from(ledger, "b", "a")
    assert stored(ledger, "b") == [1, 2]
    end(ledger, "a", "y", state="failed")
    end(ledger, "a", 4, 5)
    assert stored(ledger, "b") == [1, 2, 4, 5]
    end(ledger, "b", 0, 0, 0, 0)
    assert info(ledger, "b").state is State.SUCCEEDED
    take_from(ledger, "late", "a")
    assert (stored(ledger, "late"), info(ledger, "late").state) == ([1, 2, 4, 5], State.RUNNING)


def test_failed_items_give_their_own_item(ledger):
    submit(ledger, "a", 4)
    take_from(ledger, "b", "a", from_states="failed,dead")
    end(ledger, "a", 10)
    end(ledger, "a", "no", state="failed")
    end(ledger, "a", "no", state="dead")
    end(ledger, "a", 13)
    assert stored(ledger, "b") == [1, 2]


def test_a_list_is_as_many_items_as_it_has_elements(ledger):
    values = ([1, 2.50, 'a,b]\\"[', {"k": [1, {"z": "}"}]}, [], [3, 4]], [], "alone", [12345678901234567890])
    submit(ledger, "a", len(values))
    take_from(ledger, "b", "a", flatten=1)
    end(ledger, "a", *values)
    assert stored(ledger, "b") == [*values[0], "alone", 12345678901234567890]
    assert "input_ended" in ledger.state("b")


def test_nothing_to_take_is_an_end(ledger):
    submit(ledger, "a", 1)
    take_from(ledger, "b", "a")
    take_from(ledger, "c", "b")
    end(ledger, "a", "no", state="failed")
    assert [info(ledger, name).state for name in "bc"] == [State.SUCCEEDED, State.SUCCEEDED]


def test_each_item_is_taken_once_whatever_is_recorded_twice(ledger, control):
    submit(ledger, "a", 2)
    take_from(ledger, "b", "a")
    chunk, items = begin(ledger, "a")
    for _ in range(3):
        ledger.record(chunk, outcomes(items), 0.1, "w")
    assert stored(ledger, "b") == [0]
    chunk, items = begin(ledger, "a")
    ledger.record(chunk, outcomes(items, "failed"), 0.1, "w")
    assert control.retry("a") == 1
    end(ledger, "a", 7)
    assert stored(ledger, "b") == [0]
    assert info(ledger, "b").superseded == ("a",)


#: A batch takes 64 MiB of values at most before its own items run.
LARGE, LARGE_ITEMS = "v" * 600_000, 112


def run_one(ledger, batch, value=LARGE):
    """Run the next item of a batch, which takes long; False when nothing is handed out."""
    if (one := begin(ledger, batch)) is None:
        return False
    chunk, items = one
    ended = [Outcome(item.index, "succeeded", item.attempt, json.dumps(value), 9, "w", 1) for item in items]
    ledger.record(chunk, ended, 9, "w")
    return True


def test_a_slow_batch_holds_its_source_until_half_is_done(ledger):
    submit(ledger, "a", 160)
    take_from(ledger, "b", "a")
    while run_one(ledger, "a"):
        pass
    held = info(ledger, "a")
    assert (held.held_by, info(ledger, "b").left, held.left > 0) == ("batch b", LARGE_ITEMS, True)
    while info(ledger, "a").held_by:
        assert run_one(ledger, "b", 1)
    assert 0 < info(ledger, "b").left <= LARGE_ITEMS // 2
    assert run_one(ledger, "a")


def test_a_source_with_more_than_a_batch_may_have_is_kept_until_all_is_taken(ledger):
    submit(ledger, "a", 160, ttl=60_000)
    while run_one(ledger, "a"):
        pass
    assert ledger.client.pttl(ledger.key("a", "state")) > 0
    take_from(ledger, "b", "a")
    assert info(ledger, "b").submitted == LARGE_ITEMS
    assert ledger.client.pttl(ledger.key("a", "state")) == -1
    with pytest.raises(InputError):
        ledger.delete("a")
    consumer = ResultConsumer(ledger.client, ledger.settings, "a", int(ledger.state("a")["created"]))
    list(consumer.noted(ResultReader(ledger.client, ledger.settings, "a").in_order(0, 10)))
    consumer.consume()
    assert info(ledger, "a").consumed == 0
    while run_one(ledger, "b", 1):
        enlist(ledger)
    assert (info(ledger, "b").state, info(ledger, "b").succeeded) == (State.SUCCEEDED, 160)
    heal(ledger)
    assert ledger.client.pttl(ledger.key("a", "state")) > 0


@pytest.mark.parametrize("how", ["cancel", "delete"])
def test_a_source_is_let_go_when_its_taker_is_no_more(ledger, control, how):
    submit(ledger, "a", 2)
    take_from(ledger, "b", "a")
    end(ledger, "a", 1)
    with pytest.raises(InputError):
        ledger.delete("a")
    control.cancel("b", "by me") if how == "cancel" else ledger.delete("b")
    end(ledger, "a", 2)
    if how == "cancel":
        assert (info(ledger, "b").cancelled, info(ledger, "b").state) == (1, State.CANCELLED)
    ledger.delete("a")


def test_a_batch_that_takes_values_may_wait_too(ledger):
    submit(ledger, "a", 2)
    take_from(ledger, "b", "a", after="a")
    end(ledger, "a", 1)
    assert (info(ledger, "b").state, pop(ledger).batch) == (State.WAITING, "a")
    heal(ledger)
    submit(ledger, "bad", 1)
    take_from(ledger, "c", "bad", after="bad")
    end(ledger, "bad", "no", state="failed")
    assert (info(ledger, "c").state, info(ledger, "c").reason) == (State.CANCELLED, "bad failed")


def test_a_source_that_is_not_there_or_is_another_one_is_refused(ledger):
    with pytest.raises(InputError) as caught:
        take_from(ledger, "b", "none")
    assert "from_batch" in str(caught.value)
    submit(ledger, "a", 1)
    submit(ledger, "other", 1)
    take_from(ledger, "b", "a")
    take_from(ledger, "b", "a")
    with pytest.raises(InputError) as caught:
        take_from(ledger, "b", "other")
    assert "--from-batch" in str(caught.value)


class TestListsOfManyElements:
    """Taken apart in steps: no script may hold the server for long."""

    #: Marks of JSON in strings, and lists in lists: a step may end in any of them.
    NESTED = ([["a\\", 'b]"[,', {"k": ["{", [None, []], {"z": "}"}]}], '\\"', [[[1], [2]], "\u00e9"], []] * 700, 5)

    def steps(self, ledger):
        """How many items each call stores, until the input of `b` has ended."""
        for _ in range(100):
            if "input_ended" in ledger.state("b"):
                return
            before = info(ledger, "b").submitted
            heal(ledger)
            yield info(ledger, "b").submitted - before
        pytest.fail("the input does not end")

    def test_the_elements_of_a_huge_list_come_in_steps(self, ledger):
        numbers = list(range(30_000))
        submit(ledger, "a", 3)
        take_from(ledger, "b", "a", flatten=1)
        end(ledger, "a", [1, 2], numbers, "last")
        assert 0 < max(self.steps(ledger)) <= 2000
        assert stored(ledger, "b") == [1, 2, *numbers, "last"]
        assert "behind" not in ledger.state("b")

    def test_a_step_may_end_anywhere(self, ledger):
        submit(ledger, "a", 3)
        take_from(ledger, "b", "a", flatten=1)
        end(ledger, "a", *(self.NESTED[0], {"x": 1}, [self.NESTED[0]]))
        assert sum(self.steps(ledger)) > 0
        assert stored(ledger, "b") == [*self.NESTED[0], {"x": 1}, self.NESTED[0]]

    def test_what_a_torn_server_kept_of_a_step_comes_once(self, ledger):
        submit(ledger, "a", 1)
        take_from(ledger, "b", "a", flatten=1)
        repair = Repair(ledger.client, ledger.settings)
        end(ledger, "a", self.NESTED[0])
        before = ledger.state("b")
        for _ in self.steps(ledger):
            if "input_ended" not in ledger.state("b"):
                # Of the step, it has the block, and nothing that the script wrote behind that.
                kept = {name: before[name] for name in ("stored", "bytes", "source_event", "source_place")}
                ledger.client.hset(ledger.key("b", "state"), mapping=kept)
                repair.mend("b")
                repair.queues(["cpu"], mend=True)
            before = ledger.state("b")
        assert stored(ledger, "b") == self.NESTED[0]
        assert info(ledger, "b").submitted == len(self.NESTED[0])

    def test_a_source_is_kept_until_its_list_is_taken(self, ledger, control):
        submit(ledger, "a", 1)
        take_from(ledger, "b", "a", flatten=1)
        end(ledger, "a", list(range(5000)))
        with pytest.raises(InputError, match="'b'"):
            ledger.delete("a")
        control.cancel("b", "enough")
        heal(ledger)
        ledger.delete("a")
