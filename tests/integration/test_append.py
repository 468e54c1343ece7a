"""Appending to an open batch on a real server: by several producers, killed anywhere and repeated, deduplicated."""

import json
import threading
import uuid
from queue import SimpleQueue

import pytest
from hypothesis import HealthCheck, given
from hypothesis import settings as hypothesis
from hypothesis import strategies as st

from gristmill import aio, cpu, open_batch, submit
from gristmill.batches.appends import Append
from gristmill.batches.feed import PRODUCER_LEASE, AlreadyFeeding, DifferentInput
from gristmill.batches.info import State
from gristmill.batches.repair import Repair
from gristmill.errors import BatchCancelled, InputError
from gristmill.producer import append as append_module
from gristmill.producer import feeder
from gristmill.producer.append import AppendSubmission
from gristmill.producer.append_options import AppendOptions
from gristmill.producer.backpressure import Backpressure
from gristmill.producer.feeder import Feeder
from gristmill.producer.items import Raw, checked
from gristmill.producer.items.checked import ItemLot
from gristmill.server.scripts import Scripts
from gristmill.server.waiting import NEVER
from tests.conftest import until
from tests.support.ledger import FIELDS as FIBONACCI
from tests.support.ledger import enlist, heal, info, run_all


@cpu(name="append.number")
def number(n: int, kind: str = "plain") -> int:
    """Return it."""
    return n


FIELDS = {**FIBONACCI, "task": "append.number", "open": 1}
CALLS = ("begin", "append", "end")


class Killed(BaseException):
    """Raised where a producer is killed."""


class Mortal(Append):
    """An append whose producer is killed at one of its calls: before the server got it, or when it has done it."""

    step, done = 0, False

    def _call(self, name, **arguments):
        self.step -= 1
        if self.step == 0 and not self.done:
            raise Killed
        answer = super()._call(name, **arguments)
        if self.step == 0:
            raise Killed
        return answer


def value_of(item, name):
    return item


def feed(ledger, name, token, items, step=0, done=False, **fields):
    """A producer, without what it does when it ends in order; it is killed at that step."""
    append, producer = Mortal(ledger.client, ledger.settings, token, value_of), uuid.uuid4().hex
    append.step, append.done = step, done
    found = append.begin(name, producer, {**FIELDS, **fields})
    backpressure = Backpressure(ledger.client, str, NEVER)
    feeder = Feeder(append, name, producer, found, backpressure, threading.Event(), SimpleQueue())
    feeder.send((ItemLot(number, [text]) for number, text in enumerate(items)), str, str)
    if not found.input_ended:
        feeder.end(0)
    return append.progress


def orphan(ledger, name):
    """Its producers' leases are over."""
    key = ledger.key(name, "appends")
    for token, text in ledger.client.hgetall(key).items():
        ledger.client.hset(key, token, json.dumps({**json.loads(text), "alive": 0}))


def stored(ledger, name):
    return [item for _, item in ledger.items(name)]


KILL = st.tuples(st.integers(0, 2), st.integers(1, 9), st.booleans())


@hypothesis(max_examples=15, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(counts=st.tuples(*[st.integers(0, 25)] * 3), kills=st.lists(KILL, max_size=10), nameless=st.booleans())
def test_each_item_is_added_once_wherever_producers_are_killed(ledger, monkeypatch, counts, kills, nameless):
    monkeypatch.setattr(feeder, "BLOCK_ITEMS", 4)
    name = f"b{uuid.uuid4().hex}"
    inputs = [[f"{1000 * which + index}" for index in range(count)] for which, count in enumerate(counts)]
    tokens = [f"{'~' if nameless else 't'}{which}" for which in range(3)]
    enlist(ledger)
    ended = set()
    for which, step, done in kills:
        if which in ended:
            # Who has ended in order does not come again, unless by a name.
            continue
        try:
            feed(ledger, name, tokens[which], inputs[which], step, done)
            ended.add(which)
        except Killed:
            orphan(ledger, name)
            if nameless and tokens[which] not in ledger.client.hgetall(ledger.key(name, "appends")):
                # Killed before its first call, or when it had ended and was not told.
                ended |= {which} if done else set()
    for which in {0, 1, 2} - ended:
        feed(ledger, name, tokens[which], inputs[which])
    assert sorted(stored(ledger, name), key=int) == [item for items in inputs for item in items]
    assert info(ledger, name).state is State.OPEN
    run_all(ledger)
    call = {"batch": name, "token": name, "actor": ""}
    assert Scripts(ledger.client, ledger.settings.prefix, "batches").call("close", **call) == "closed"
    state = info(ledger, name)
    assert (state.state, state.left, state.duplicates) == (State.SUCCEEDED, 0, 0)
    assert state.succeeded == sum(counts)


@hypothesis(max_examples=12, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    lots=st.lists(st.lists(st.integers(0, 30), max_size=15), min_size=1, max_size=4), kills=st.lists(KILL, max_size=4)
)
def test_a_value_is_added_once_by_whomever_it_comes(ledger, monkeypatch, lots, kills):
    monkeypatch.setattr(feeder, "BLOCK_ITEMS", 4)
    name = f"b{uuid.uuid4().hex}"
    for which, step, done in kills:
        try:
            feed(ledger, name, f"t{which}", map(str, lots[which % len(lots)]), step, done, dedupe_by="n")
        except Killed:
            orphan(ledger, name)
        except DifferentInput:
            pass
    before = stored(ledger, name)
    added = present = 0
    for which, lot in enumerate(lots):
        progress = feed(ledger, name, f"u{which}", map(str, lot), dedupe_by="n")
        added, present = added + progress.added, present + progress.present
    items = stored(ledger, name)
    assert len(items) == len(set(items)) == len(before) + added
    assert {str(value) for lot in lots for value in lot} <= set(items)
    assert added + present == sum(map(len, lots))


class TestPython:
    def test_append_and_close(self, here):
        batch = submit(number, [1, 2], name="b", append=True, priority=0)
        assert batch.append([3]) == 1
        assert batch.append(n for n in (4, 5)) == 2
        assert batch.append([]) == 0
        state = batch.info()
        assert (state.state, state.submitted, state.left) == (State.OPEN, 5, 5)
        enlist(here)
        heal(here)
        run_all(here)
        assert batch.info().state is State.OPEN
        assert [result.value for result in batch.results(follow=False)] == [1, 2, 3, 4, 5]
        assert (batch.close(), batch.close()) == (True, False)
        assert batch.wait(max_wait=30).state is State.SUCCEEDED
        assert list(batch.values()) == [1, 2, 3, 4, 5]
        with pytest.raises(InputError, match="is closed"):
            batch.append([6])

    def test_an_open_batch_may_be_empty(self, here):
        batch = submit(number, name="b", append=True)
        assert (batch.info().state, batch.info().submitted) == (State.OPEN, 0)
        batch.close()
        assert batch.info().state is State.SUCCEEDED

    def test_equal_appends_add_equal_items_unless_a_token_says_that_they_are_one(self, here):
        batch = submit(number, [1], name="b", append=True)
        assert [batch.append([1]) for _ in range(2)] == [1, 1]
        assert [batch.append([1], token="again") for _ in range(3)] == [1, 1, 1]
        assert batch.info().submitted == 4
        with pytest.raises(DifferentInput, match="'again'"):
            batch.append([2], token="again")

    def test_an_append_that_was_killed_is_continued(self, here, monkeypatch):
        monkeypatch.setattr(feeder, "BLOCK_ITEMS", 4)
        monkeypatch.setattr(checked, "LOT_ITEMS", 4)
        submit(number, [], name="b", append=True)
        monkeypatch.setattr(append_module, "Append", Mortal)
        monkeypatch.setattr(Mortal, "step", 4)
        monkeypatch.setattr(Mortal, "done", True)
        with pytest.raises(Killed):
            open_batch("b").append(range(30))
        orphan(here, "b")
        assert 0 < len(stored(here, "b")) < 30
        monkeypatch.undo()
        monkeypatch.setattr(append_module, "settings", lambda: here.settings)
        assert open_batch("b").append(list(range(30))) == 30
        assert stored(here, "b") == [str(n) for n in range(30)]

    def test_what_does_not_go_together(self, here):
        submit(number, [1], name="once")
        submit(number, [1], name="open", append=True, dedupe_by="n")
        with pytest.raises(InputError, match="without --append"):
            submit(number, [2], name="once", append=True)
        with pytest.raises(InputError, match="without --append"):
            open_batch("once").close()
        with pytest.raises(InputError, match="add --append"):
            submit(number, [2], name="open")
        with pytest.raises(InputError, match="dedupe_by: 'kind'"):
            submit(number, [2], name="open", append=True, dedupe_by="kind")
        with pytest.raises(InputError, match="dedupe_by: 'size'"):
            submit(number, [2], name="new", append=True, dedupe_by="size")
        with pytest.raises(InputError, match="token: 'x'"):
            submit(number, [2], name="new", token="x")
        with pytest.raises(InputError, match="after: 'once'"):
            submit(number, [2], name="new", append=True, after="once")
        with pytest.raises(InputError, match="from_batch: 'once'"):
            submit(number, open_batch("once"), name="new", append=True)
        with pytest.raises(DifferentInput):
            submit(number, [2], name="open", append=True, set={"kind": "other"})

    def test_a_batch_that_was_cancelled_takes_nothing(self, here):
        batch = submit(number, [1], name="b", append=True)
        batch.cancel()
        with pytest.raises(BatchCancelled):
            batch.append([2])

    def test_it_is_deduplicated_by_any_parameter(self, here):
        batch = submit(
            number, [{"n": 1, "kind": "a"}, 2, {"n": 2, "kind": "a"}], name="b", append=True, dedupe_by="kind"
        )
        assert batch.info().submitted == 2
        assert batch.append([{"n": 3, "kind": "plain"}, {"n": 4, "kind": "b"}]) == 1

    async def appended(self):
        batch = await aio.submit("append.number", [1], name="b", append=True)
        added = await batch.append([2, 3])
        return added, await batch.close(), (await batch.info()).submitted

    def test_awaited(self, here):
        import asyncio

        assert asyncio.run(self.appended()) == (2, True, 3)


class Once:
    """Items that can be read once."""

    name, text, regular = "numbers", False, False

    def __init__(self, gate):
        self.gate = gate

    def open(self):
        yield Raw(0, 0)
        self.gate.wait(20)

    def columns(self):
        return None

    def place(self, number):
        return f"number {number}"


def test_a_slow_producer_keeps_its_append_and_what_it_gave_is_stored(here):
    gate = threading.Event()
    submission = AppendSubmission(number, Once(gate), name="b", append=AppendOptions.of(token="slow"))
    thread = threading.Thread(target=submission.send)
    thread.start()
    try:
        until(lambda: stored(here, "b") == ["0"], what="the first item")
        alive = json.loads(here.client.hget(here.key("b", "appends"), "slow"))["alive"]

        def renewed():
            return json.loads(here.client.hget(here.key("b", "appends"), "slow"))["alive"] > alive + PRODUCER_LEASE

        until(renewed, what="a sign of life")
        with pytest.raises(AlreadyFeeding):
            Append(here.client, here.settings, "slow", value_of).begin("b", "another", FIELDS | {"fixed": "{}"})
    finally:
        gate.set()
        thread.join()
    assert submission.added == 1


def test_nothing_added_for_long_closes_it(ledger):
    enlist(ledger)
    feed(ledger, "b", "t", ["1"], close_after=60_000)
    run_all(ledger)
    heal(ledger)
    assert info(ledger, "b").state is State.OPEN
    closing = ledger.settings.key("closing")
    before = ledger.client.zscore(closing, "b")
    feed(ledger, "b", "u", ["2"])
    assert ledger.client.zscore(closing, "b") > before
    run_all(ledger)
    ledger.client.zadd(closing, {"b": 1})
    heal(ledger)
    assert info(ledger, "b").state is State.SUCCEEDED
    assert ledger.client.zcard(closing) == 0


@pytest.mark.parametrize("mended", [True, False])
def test_a_block_that_a_torn_server_kept_counts(ledger, mended):
    """The server kept the block, and lost what the script wrote behind it."""
    enlist(ledger)
    feed(ledger, "b", "t", ["1"])
    append = Append(ledger.client, ledger.settings, "u", value_of)
    append.begin("b", "p", FIELDS)
    record = ledger.client.hget(ledger.key("b", "appends"), "u")
    append.append("b", "p", 0, ["2", "3"], "sha")
    ledger.client.hset(ledger.key("b", "state"), "stored", 1)
    ledger.client.hset(ledger.key("b", "appends"), "u", record)
    if mended:
        assert Repair(ledger.client, ledger.settings).mend("b")["items_not_counted"] == 2
    else:
        feed(ledger, "b", "v", ["4"])
    append.append("b", "p", 0, ["2", "3"], "sha")
    append.end("b", "p", 0)
    items = ["1", "2", "3"] if mended else ["1", "2", "3", "4"]
    assert stored(ledger, "b") == items
    assert ledger.state("b")["stored"] == str(len(items))


def test_no_more_values_than_a_batch_remembers(ledger, monkeypatch):
    append = Append(ledger.client, ledger.settings, "t", value_of)
    append.begin("b", "p", FIELDS | {"dedupe_by": "n"})
    with ledger.client.pipeline() as pipe:
        for first in range(0, 1_000_000, 50_000):
            pipe.sadd(ledger.key("b", "values"), *range(first, first + 50_000))
        pipe.execute()
    with pytest.raises(InputError, match="1,000,000 values of n"):
        append.append("b", "p", 0, ["1"], "sha")
    assert stored(ledger, "b") == []


def test_who_gives_an_append_up_keeps_it_from_nobody_after_a_gap_either(here, clock):
    enlist(here)
    first = Append(here.client, here.settings, "u", value_of)
    first.begin("b", "one", FIELDS | {"fixed": "{}"})
    first.let_go("b", "one")
    clock.pass_by(60)
    Append(here.client, here.settings, "u", value_of).begin("b", "two", FIELDS | {"fixed": "{}"})
    with pytest.raises(AlreadyFeeding):
        first.append("b", "one", 0, ["1"], "sha")


def test_a_clock_set_forward_closes_nothing_and_leaves_each_append_to_its_producer(here, clock):
    enlist(here)
    feed(here, "b", "t", ["1"], close_after=60_000)
    Append(here.client, here.settings, "u", value_of).begin("b", "one", FIELDS | {"fixed": "{}"})
    clock.pass_by(3600)
    heal(here)
    with pytest.raises(AlreadyFeeding):
        Append(here.client, here.settings, "u", value_of).begin("b", "two", FIELDS | {"fixed": "{}"})
    for _ in range(14):
        clock.pass_by(4)
        heal(here)
        assert info(here, "b").state is State.OPEN
    clock.pass_by(4)
    heal(here)
    assert info(here, "b").state is State.RUNNING
