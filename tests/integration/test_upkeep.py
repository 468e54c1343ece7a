"""What comes due is done by whoever looks at the fleet, whatever stands beside it and whatever the clock does."""

import json
import time
from itertools import pairwise

import pytest

from gristmill.batches.info import State
from gristmill.broker.dead_letters import DeadLetters
from gristmill.fleet.overview import Observer
from gristmill.producer.batch import Batch
from gristmill.server.scripts import Scripts, server_time
from tests.conftest import until
from tests.support.controlled import begin, record
from tests.support.ledger import FIELDS, WORKER, age, heartbeat, info, outcomes, pop, queue_key, run_all, submit

ACTOR = "Python me@here"
OTHER = "cpu@b"

HOUR_US = 3_600_000_000


@pytest.fixture
def now(ledger):
    """The time by which the scripts go, in seconds."""
    return lambda: server_time(ledger.client, ledger.settings.prefix)


def scripts(ledger):
    return Scripts(ledger.client, ledger.settings.prefix, "batches")


def messages(ledger):
    return ledger.client.xlen(queue_key(ledger))


class TestHandingOut:
    def store(self, ledger, name, count):
        ledger.create(name, "token", FIELDS)
        ledger.append(name, "token", 0, [str(index) for index in range(count)], "sha")
        ledger.end(name, "token", 0)

    def test_nothing_is_cut_before_there_is_a_worker(self, ledger):
        self.store(ledger, "b", 100)
        assert messages(ledger) == 0
        ledger.heartbeat(WORKER, heartbeat(slots=3), [])
        assert messages(ledger) == 3

    def test_a_fleet_that_grows_gets_more_at_once(self, ledger):
        ledger.heartbeat(WORKER, heartbeat(slots=3), [])
        self.store(ledger, "b", 100)
        ledger.heartbeat("cpu@b", heartbeat(slots=4), [])
        assert messages(ledger) == 7

    def test_workers_of_another_queue_get_nothing(self, ledger):
        self.store(ledger, "b", 100)
        ledger.heartbeat("io@b", heartbeat(slots=4, queue="io"), [])
        assert messages(ledger) == 0

    def test_one_call_puts_a_bounded_number_of_messages_and_the_next_one_goes_on(self, ledger):
        self.store(ledger, "b", 2000)
        counts = [0]
        for _ in range(10):
            ledger.heartbeat(WORKER, heartbeat(slots=1000), [])
            counts.append(messages(ledger))
        steps = [after - before for before, after in pairwise(counts)]
        assert counts[-1] == 1000
        assert max(steps) <= 100

    def test_the_end_of_one_batch_hands_out_another(self, ledger):
        ledger.heartbeat(WORKER, heartbeat(slots=2), [])
        for number in range(600):
            self.store(ledger, f"b{number:03}", 1)
        ledger.heartbeat(WORKER, heartbeat(slots=3), [])
        run_all(ledger)
        assert {info(ledger, f"b{number:03}").state for number in range(600)} == {State.SUCCEEDED}

    def test_slots_are_those_of_live_workers(self, ledger):
        slots = lambda: ledger.client.hgetall(ledger.settings.key("slots"))  # noqa: E731
        ledger.heartbeat(WORKER, heartbeat(slots=2), [])
        ledger.heartbeat("cpu@b", heartbeat(slots=3), [])
        ledger.heartbeat("cpu@b", heartbeat(slots=5), [])
        assert slots() == {"cpu": "7"}
        ledger.client.zadd(ledger.settings.key("workers"), {"cpu@b": 1})
        ledger.heartbeat(WORKER, heartbeat(slots=2, queue="io"), [])
        assert slots() == {"cpu": "0", "io": "2"}


class TestNoWorker:
    @pytest.fixture
    def orphaned(self, ledger, control):
        """A batch that was cancelled within 10 s of the last worker's death, half a minute ago."""
        submit(ledger, "b", 20)
        chunk, _ = begin(ledger)
        assert control.cancel("b", "by me") == []
        assert info(ledger, "b").left == 1
        age(ledger, "b", chunk, 30_000)
        ledger.client.zincrby(ledger.settings.key("workers"), -30_000, WORKER)
        # Somebody has missed the workers 20 s ago.
        missed_at = 1000 * server_time(ledger.client, ledger.settings.prefix) - 20_000
        ledger.client.hset(ledger.settings.key("clock"), "gap", f"{missed_at:.0f}")
        for batch in ("b",):
            ledger.client.zadd(ledger.settings.key("due"), {batch: 1})

    def test_whoever_waits_for_a_cancelled_batch_settles_it(self, ledger, orphaned):
        state = Batch("b", ledger).info()
        assert (state.state, state.cancelled, state.left) == (State.CANCELLED, 20, 0)

    def test_whoever_lists_batches_settles_them(self, ledger, orphaned):
        assert ledger.names() == ["b"]
        assert info(ledger, "b").state is State.CANCELLED

    def test_the_dashboard_settles_them(self, ledger, orphaned):
        Observer(ledger.client, ledger.settings).look()
        assert info(ledger, "b").state is State.CANCELLED


LOOKS = {
    "a heartbeat": lambda ledger, mine, _: ledger.heartbeat(WORKER, heartbeat(), [mine]),
    "a list of batches": lambda ledger, _, __: ledger.names(),
    "an outcome": record,
}


class TestClockSetForward:
    """Two workers run a chunk each of a batch that is cancelled, while the server's clock is set forward by an hour."""

    @pytest.fixture
    def chunks(self, here, clock, control):
        submit(here, "b", 40)
        here.heartbeat(OTHER, heartbeat(), [])
        chunks = {WORKER: begin(here, WORKER), OTHER: begin(here, OTHER)}
        assert control.cancel("b", "by me") == []
        clock.pass_by(3600)
        return chunks

    def registered(self, ledger):
        return set(ledger.client.zrange(ledger.settings.key("workers"), 0, -1))

    def deaths(self, ledger):
        events = ledger.client.xrange(ledger.settings.key("worker_events"))
        return [fields["worker"] for _, fields in events if fields["what"] == "death"]

    @pytest.mark.parametrize("look", LOOKS)
    def test_what_runs_is_recorded(self, here, chunks, look):
        LOOKS[look](here, *chunks[WORKER])
        assert (self.registered(here), self.deaths(here)) == ({WORKER, OTHER}, [])
        for worker, (chunk, items) in chunks.items():
            here.heartbeat(worker, heartbeat(), [chunk])
            record(here, chunk, items)
        batch, ran = info(here, "b"), sum(len(items) for _, items in chunks.values())
        assert (batch.state, batch.succeeded, batch.cancelled, batch.left) == (State.CANCELLED, ran, 40 - ran, 0)

    def test_whoever_is_silent_from_then_on_is_gone_ten_seconds_later(self, here, clock, chunks):
        mine, items = chunks[WORKER]
        for _ in range(11):
            assert (self.registered(here), info(here, "b").left) == (
                {WORKER, OTHER},
                len(items) + len(chunks[OTHER][1]),
            )
            here.heartbeat(WORKER, heartbeat(), [mine])
            clock.pass_by(1)
        here.heartbeat(WORKER, heartbeat(), [mine])
        assert (self.registered(here), self.deaths(here), info(here, "b").left) == ({WORKER}, [OTHER], len(items))

    def test_where_no_worker_lives_those_that_look_find_that_ten_seconds_later(self, here, clock, chunks):
        here.names()
        clock.pass_by(9)
        here.names()
        assert info(here, "b").left > 0
        clock.pass_by(1)
        here.names()
        assert (self.registered(here), info(here, "b").cancelled) == (set(), 40)


class TestClock:
    def set_back(self, ledger, now):
        """As if the server's clock had shown an hour more a moment ago."""
        ledger.client.hset(ledger.settings.key("clock"), mapping={"at": int(now() * 1e6) + HOUR_US, "ahead": 0})

    def test_the_time_never_goes_back_and_does_not_stand_still(self, ledger, now):
        ledger.heartbeat(WORKER, heartbeat(), [])
        before = now()
        self.set_back(ledger, now)
        ledger.heartbeat(WORKER, heartbeat(), [])
        after = now()
        assert after >= before + 3600
        until(lambda: now() > after + 0.2)

    def test_the_time_comes_back_to_the_clock_slowly(self, ledger, now):
        self.set_back(ledger, now)
        ledger.heartbeat(WORKER, heartbeat(), [])
        ahead = lambda: int(ledger.client.hget(ledger.settings.key("clock"), "ahead"))  # noqa: E731
        before = ahead()
        assert before == pytest.approx(HOUR_US, rel=0.01)

        def less():
            ledger.heartbeat(WORKER, heartbeat(), [])
            return ahead() < before - 100_000

        until(less)

    def test_the_time_does_not_go_back_when_a_heartbeat_notes_it_late(self, ledger, now):
        self.set_back(ledger, now)
        ledger.heartbeat(WORKER, heartbeat(), [])
        start, read = time.monotonic(), now()
        until(lambda: time.monotonic() > start + 0.5)
        before = now()
        ledger.heartbeat(WORKER, heartbeat(), [])
        assert read <= before <= now()

    def test_what_was_due_before_is_done(self, ledger, now):
        submit(ledger, "b", 1, retries=1)
        chunk, items = begin(ledger)
        ledger.record(chunk, outcomes(items, "failed", retry_ms=50), 0.1, WORKER)
        self.set_back(ledger, now)

        def again():
            ledger.heartbeat(WORKER, heartbeat(), [])
            return pop(ledger)

        assert until(again).member == "0:1"


class TestLostAnswers:
    """A call that is repeated with its token changes nothing, and answers what the first one did."""

    def test_retry(self, ledger, control):
        submit(ledger, "b", 3)
        chunk, items = begin(ledger)
        record(ledger, chunk, items, "failed")
        answers = [
            scripts(ledger).call("retry", batch="b", token="one", cancelled=False, workflow=False, actor=ACTOR)
            for _ in range(2)
        ]
        assert answers == [1, 1]
        assert control.retry("b") == 0

    def test_pause_and_resume(self, ledger):
        submit(ledger, "b", 3)
        for token, paused in (("one", True), ("two", False)):
            answers = [
                scripts(ledger).call("pause", batch="b", token=token, paused=paused, actor=ACTOR) for _ in range(2)
            ]
            assert answers == [1, 1]

    def test_cancel(self, ledger):
        submit(ledger, "b", 3)
        begin(ledger)
        kill = {"batch": "b", "token": "one", "why": "by me", "actor": ACTOR, "killable": [WORKER]}
        answers = [scripts(ledger).call("cancel", **kill) for _ in range(2)]
        assert answers[0] == answers[1] == [ledger.state("b")["epoch"], WORKER, "0:1"]

    @pytest.mark.parametrize("requeue", [True, False])
    def test_dead_letters(self, ledger, requeue):
        letter = {"queue": "cpu", "level": 0, "reason": "", "deaths": 0, "worker": "w", "at": 1, "message": "{}"}
        for _ in range(2):
            ledger.client.xadd(ledger.settings.key("dead"), letter)
        dead_letters = DeadLetters(ledger.client, ledger.settings)
        call = {"token": "one", "first": "-", "last": "+", "most": 1, "requeue": requeue, "actor": ACTOR}
        assert [dead_letters._scripts.call("dead_letters", **call) for _ in range(2)] == [1, 1]
        assert len(dead_letters) == 1


@pytest.mark.parametrize("text", ["{", "[]", "{}", '{"queue": 3}', '{"queue": "cpu", "slots": [], "host": {}}', "\x00"])
def test_one_bad_heartbeat_harms_only_itself(ledger, text):
    submit(ledger, "b", 3)
    ledger.heartbeat("cpu@b", heartbeat(slots=3), [])
    ledger.client.hset(ledger.settings.key("heartbeats"), "cpu@b", text)
    ledger.client.hset(ledger.settings.key("slots_of"), "cpu@b", json.dumps(text))
    ledger.heartbeat(WORKER, heartbeat(16), [], counts=())
    ledger.heartbeat("cpu@b", heartbeat(slots=3), [])
    run_all(ledger)
    assert info(ledger, "b").succeeded == 3
