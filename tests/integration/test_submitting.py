"""Submitting on a real server: killed anywhere and repeated, with other input, by two at once, and when it is full."""

import threading
import time
import uuid
from contextlib import suppress
from queue import SimpleQueue

import pytest
from hypothesis import HealthCheck, given
from hypothesis import settings as hypothesis
from hypothesis import strategies as st
from redis.exceptions import ConnectionError as RedisConnectionError

from gristmill import cpu, submit
from gristmill.batches.feed import PRODUCER_LEASE, AlreadyFeeding, DifferentInput
from gristmill.batches.reader import ResultReader
from gristmill.errors import BatchCancelled
from gristmill.producer import backpressure, feeder
from gristmill.producer.backpressure import Backpressure, Full
from gristmill.producer.feeder import Feeder
from gristmill.producer.feeding import Feeding
from gristmill.producer.items import Raw
from gristmill.producer.items.checked import ItemLot
from gristmill.producer.submission import Submission
from gristmill.server.waiting import NEVER, Deadline
from tests.conftest import until
from tests.support.ledger import FIELDS as FIBONACCI
from tests.support.ledger import enlist, info, run_all
from tests.support.reading import from_path


@cpu
def number(n: int) -> int:
    """Return it."""
    return n


FIELDS = {**FIBONACCI, "task": "number"}


class Killed(BaseException):
    """Raised where a producer is killed."""


class Mortal:
    """A ledger for a producer that is killed at one of its calls: before the server got it, or when it has done it."""

    def __init__(self, ledger, step, done):
        self.ledger, self.step, self.done, self.last = ledger, step, done, None

    def __getattr__(self, name):
        call = getattr(self.ledger, name)
        return self._mortal(call) if name in ("create", "append", "end") else call

    def _mortal(self, call):
        def mortal(*arguments):
            self.step -= 1
            if self.step == 0 and not self.done:
                raise Killed
            answer = call(*arguments)
            self.last = lambda: call(*arguments)
            if self.step == 0:
                raise Killed
            return answer

        return mortal


def feeder_of(ledger, name, token, state):
    backpressure = Backpressure(ledger.client, str, NEVER)
    return Feeder(ledger, name, token, state, backpressure, threading.Event(), SimpleQueue())


def feed(ledger, name, items):
    """A producer, without what it does when it ends in order."""
    token = uuid.uuid4().hex
    found = ledger.create(name, token, FIELDS)
    feeder_of(ledger, name, token, found).send((ItemLot(number, [text]) for number, text in enumerate(items)), str, str)
    if not found.input_ended:
        ledger.end(name, token, 0)


@hypothesis(max_examples=40, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    count=st.integers(1, 60),
    kills=st.lists(st.tuples(st.integers(1, 12), st.booleans(), st.booleans()), max_size=12),
)
def test_each_item_is_submitted_once_wherever_producers_are_killed(ledger, monkeypatch, count, kills):
    monkeypatch.setattr(feeder, "BLOCK_ITEMS", 7)
    name, items = f"b{uuid.uuid4().hex}", [str(index) for index in range(count)]
    enlist(ledger)
    for step, done, revives in kills:
        mortal = Mortal(ledger, step, done)
        try:
            feed(mortal, name, items)
        except Killed:
            ledger.client.hset(ledger.key(name, "state"), "producer_until", 0)
            if revives and mortal.last and ledger.state(name).get("task"):
                # It was only suspended, and goes on after another has taken over.
                ledger.create(name, "another", FIELDS)
                before = ledger.state(name)["stored"]
                with suppress(AlreadyFeeding):
                    mortal.last()
                assert ledger.state(name)["stored"] == before
                ledger.client.hset(ledger.key(name, "state"), "producer_until", 0)
    feed(ledger, name, items)
    assert list(ledger.items(name)) == list(enumerate(items))
    run_all(ledger)
    state = info(ledger, name)
    assert (state.submitted, state.succeeded, state.left, state.duplicates) == (count, count, 0, 0)
    results = ResultReader(ledger.client, ledger.settings, name).in_order(0, count)
    assert [result.value for result in results] == list(range(count))


class TestOtherInput:
    def stored(self, ledger, count, ended=True):
        items = [str(index) for index in range(count)]
        found = ledger.create("b", "one", FIELDS)
        feeder_of(ledger, "b", "one", found).send(
            (ItemLot(number, [text]) for number, text in enumerate(items)), str, str
        )
        if ended:
            ledger.end("b", "one", 0)
        else:
            ledger.let_go("b", "one")

    @pytest.mark.parametrize("ended", [True, False])
    @pytest.mark.parametrize("regular", [True, False])
    @pytest.mark.parametrize("place", [0, 1, 1234, 2499])
    def test_the_first_difference_is_named(self, here, tmp_path, ended, regular, place):
        self.stored(here, 2500, ended)
        lines = [str(index) for index in range(2500)]
        lines[place] = "77777"
        lines[-1] = "88888" if place < 2499 else lines[-1]
        path = tmp_path / "items.txt"
        path.write_text("\n".join(["", *lines]))
        source = from_path(str(path))
        source.regular = regular
        with pytest.raises(DifferentInput) as caught:
            Submission(number, source, name="b").send()
        assert "batch 'b' was submitted from other input by me@here" in str(caught.value)
        assert f"item {place} was {place}, now it is 77777" in str(caught.value)
        assert f"items.txt:{place + 2})" in str(caught.value)
        assert len(list(here.items("b"))) == 2500

    def test_less_and_more(self, here):
        self.stored(here, 2500)
        with pytest.raises(DifferentInput, match=r"it has 2,500 items, and this input has only 2,400"):
            submit(number, range(2400), name="b")
        with pytest.raises(
            DifferentInput, match=r"it ended with 2,500 items, and this input has more, from item 2500 on"
        ):
            submit(number, range(2501), name="b")
        assert submit(number, range(2500), name="b").info().submitted == 2500

    def test_among_items_that_were_consumed(self, here):
        self.stored(here, 2500)
        first, *_ = here.client.xrange(here.key("b", "in"))
        here.client.xdel(here.key("b", "in"), first[0])
        assert submit(number, range(2500), name="b").info().submitted == 2500
        with pytest.raises(DifferentInput, match="in an item that was removed"):
            submit(number, [5, *range(1, 2500)], name="b")


class TestTwoAtOnce:
    def test_one_wins_and_the_other_says_so(self, here):
        reading = threading.Event()

        def slow():
            yield 0
            reading.wait(20)
            yield 1

        said = []
        first = threading.Thread(target=lambda: said.append(submit(number, slow(), name="b").info().submitted))
        first.start()
        until(lambda: here.state("b").get("stored") == "1", what="the first item")
        try:
            with pytest.raises(AlreadyFeeding, match=r"batch 'b' .*gristmill watch b"):
                submit(number, [0, 1], name="b")
        finally:
            reading.set()
            first.join()
        assert said == [2]


@pytest.fixture
def full(here):
    """Have the server be so full: its used memory is this share of its limit; producers' last looks are old then."""
    # Beside this the buffers of clients, which come and go, weigh nothing.
    here.client.setrange("ballast", 32 << 20, b"x")

    def full(share):
        used = here.client.info("memory")["used_memory"]
        here.client.config_set("maxmemory", int(used / share) if share else 0)
        begun = time.monotonic()
        until(lambda: time.monotonic() > begun + 2 * backpressure.LOOK_SECONDS, what="an old look")

    yield full
    here.client.config_set("maxmemory", 0)
    here.client.delete("ballast")


@pytest.fixture
def soon(monkeypatch):
    monkeypatch.setattr(backpressure, "LOOK_SECONDS", 0.05)
    monkeypatch.setattr(backpressure, "TELL_SECONDS", 0.2)


class TestFullServer:
    def begin(self, said, gate=None):
        return Submission(number, Numbers(3000, gate), name="b", on_wait=said.append)

    @pytest.mark.parametrize("share", [0.8, 2.0], ids=["nearly", "refusing"])
    def test_a_producer_waits_says_what_to_do_and_goes_on(self, here, full, soon, share):
        said, gate = [], threading.Event()
        with Feeding(self.begin(said, gate), NEVER, said.append) as feeding:
            until(lambda: here.state("b").get("stored") == "1", what="the first item")
            full(share)
            gate.set()
            until(lambda: any("--consume" in line for line in said), what="advice")
            assert "waiting for room, 1 item is stored" in said[0]
            assert here.state("b")["stored"] == "1"
            full(0)
            feeding.finish()
        assert said[-1] == "there is room again: going on"
        assert len([line for line in said if "there is room" in line]) == 1
        assert here.state("b")["stored"] == "3000"

    def test_it_stays_the_producer_meanwhile(self, here, full, soon):
        said, gate = [], threading.Event()
        submission = self.begin(said, gate)
        with Feeding(submission, NEVER, said.append) as feeding:
            until(lambda: here.state("b").get("stored") == "1", what="the first item")
            full(2.0)
            gate.set()
            until(lambda: said, what="a wait")
            begun = time.monotonic()
            until(lambda: time.monotonic() > begun + PRODUCER_LEASE / 1000 + 0.5, what="longer than its lease")
            full(0.8)
            with pytest.raises(AlreadyFeeding):
                here.create("b", "another", FIELDS)
            full(0)
            feeding.finish()
        assert here.state("b")["stored"] == "3000"

    def test_a_timeout_bounds_the_wait(self, here, full, soon):
        full(0.8)
        with pytest.raises(Full, match=r"the server's memory is \d+ % full \(of [\d,]+ MiB\), still after 0.3 s"):
            self.begin([]).send(Deadline(0.3))
        full(0)
        assert submit(number, range(3000), name="b").info().submitted == 3000, "nobody feeds it any more"

    def test_it_can_be_stopped(self, here, full, soon):
        said = []
        submission = self.begin(said)
        full(0.8)
        with Feeding(submission, NEVER, said.append):
            until(lambda: said, what="a wait")
        full(0)
        assert submit(number, range(3000), name="b").info().submitted == 3000, "nobody feeds it any more"

    def test_without_a_limit_nobody_waits(self, here, soon):
        said = []
        self.begin(said).send(Deadline(60))
        assert said == []


class Numbers:
    """Items that can be read again; those behind the first wait for `gate`, if there is one."""

    name, text, regular = "numbers", False, True

    def __init__(self, count, gate=None):
        self.count, self.gate = count, gate

    def open(self):
        for number in range(self.count):
            if number == 1 and self.gate:
                self.gate.wait(20)
            yield Raw(number, number)

    def columns(self):
        return None

    def place(self, number):
        return f"number {number}"


class TestSlowInput:
    """An input that gives an item and then nothing: the process's heartbeat does what the producer cannot."""

    @pytest.fixture
    def before(self):
        """The threads that others have left in this process, such as heartbeats of other servers."""
        return threading.enumerate()

    @pytest.fixture
    def stuck(self, here, before):
        """A submission in a thread whose input has given one item, which is stored."""
        gate = threading.Event()
        submission = Submission(number, Numbers(3000, gate), name="b", on_wait=str)
        with Feeding(submission, NEVER) as feeding:
            try:
                until(lambda: here.state("b").get("stored") == "1", what="the first item")
                yield feeding
            finally:
                gate.set()

    def test_what_it_gave_is_stored_and_its_producer_lives(self, here, before, stuck):
        begun = time.monotonic()
        until(lambda: time.monotonic() > begun + PRODUCER_LEASE / 1000 + 0.5, what="longer than its lease")
        with pytest.raises(AlreadyFeeding):
            here.create("b", "another", FIELDS)
        names = [thread.name for thread in threading.enumerate() if thread not in before]
        assert names.count("feeding") == 1
        assert names.count("heartbeat") <= 1, "one for all of the process's calls of a server"

    def test_who_waits_for_it_learns_that_the_batch_was_cancelled(self, here, stuck, control):
        control.cancel("b", "by a test")
        with pytest.raises(BatchCancelled):
            stuck.finish()

    def test_who_waits_for_it_learns_that_another_took_over(self, here, stuck):
        here.client.hset(here.key("b", "state"), "producer", "another")
        with pytest.raises(AlreadyFeeding):
            stuck.finish()


def test_a_block_whose_answer_was_lost_is_sent_again_as_it_was(here):
    """Items that come meanwhile are not a part of it: the server would take it for another producer's."""
    found = here.create("b", "one", FIELDS)
    feeder = feeder_of(here, "b", "one", found)
    append, lost = here.append, [True]

    def losing(*arguments):
        append(*arguments)
        if lost.pop():
            raise RedisConnectionError("the answer was lost")

    feeder._items, feeder._bytes = ["0"], 1
    block = feeder._block()
    here.append = losing
    with pytest.raises(RedisConnectionError):
        feeder._store(here, block)
    lost.append(False)
    lost.append(False)
    feeder.send(iter([ItemLot(1, ["1"]), ItemLot(2, ["2"])]), str, str)
    assert [item for _, item in here.items("b")] == ["0", "1", "2"]
    assert feeder.stored == 3
