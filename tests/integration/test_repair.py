"""Half of a script's writes, as a torn AOF leaves them: `Repair` finds what disagrees, and mends it."""

import json
import time

import pytest
from redis import Redis

from benchmarks.chaos.power.commands import transactions
from gristmill.batches.control import Control
from gristmill.batches.ledger import Ledger
from gristmill.batches.outcomes import event_ranges
from gristmill.batches.reader import ResultReader
from gristmill.batches.repair import Repair
from gristmill.config.settings import load
from gristmill.server.aof import appended
from gristmill.server.home import Home
from gristmill.server.private import PrivateServer
from tests.support.ledger import (
    FIELDS,
    WORKER,
    enlist,
    heartbeat,
    info,
    let_time_pass,
    outcomes,
    pop,
    submit,
)

NAME, COUNT, QUEUES = "torn", 12, ["cpu", "io"]


@pytest.fixture
def repair(ledger):
    return Repair(ledger.client, ledger.settings)


def mark(ledger, part, *indexes, bit=1):
    for index in indexes:
        ledger.client.setbit(ledger.key(NAME, part), index, bit)


def run_all(ledger):
    """Run every message that is on the queue, those of chunks that are no more included."""
    while chunk := pop(ledger):
        work = ledger.take(chunk)
        if work is not None:
            ledger.record(chunk, outcomes(work.items), 0.001, WORKER, rest=work.rest)


def settle_all(ledger):
    """Let workers run the batch to its end, as it is after a repair."""
    for _ in range(20):
        let_time_pass(ledger, NAME)
        run_all(ledger)
        if info(ledger, NAME).finished:
            return
    raise AssertionError(f"does not end: {info(ledger, NAME)}")


class TestFindings:
    """One kind of disagreement each: it is found, mended, and the batch ends with every item."""

    @pytest.fixture(autouse=True)
    def batch(self, ledger):
        submit(ledger, NAME, COUNT)
        chunk = pop(ledger)
        work = ledger.take(chunk, WORKER)
        ledger.record(chunk, outcomes(work.items, "failed"), 0.1, WORKER)
        chunk = pop(ledger)
        ledger.record(chunk, outcomes(ledger.take(chunk, WORKER).items), 0.1, WORKER)

    def mended(self, ledger, repair, *expected):
        assert repair.examine(NAME).keys() >= set(expected)
        assert repair.mend(NAME).keys() >= set(expected)
        assert repair.examine(NAME) == {}
        repair.queues(QUEUES, mend=True)
        settle_all(ledger)
        assert repair.examine(NAME) == {}
        batch = info(ledger, NAME)
        assert batch.submitted == COUNT == batch.succeeded + batch.failed + batch.cancelled + batch.dead
        results = list(ResultReader(ledger.client, ledger.settings, NAME).in_order(0, COUNT))
        assert [result.index for result in results] == list(range(COUNT))

    def test_nothing_is_wrong(self, ledger, repair):
        assert repair.examine(NAME) == {}
        assert repair.queues(QUEUES, mend=False) == {}
        assert repair.names() == [NAME]

    def test_a_mark_without_an_outcome(self, ledger, repair):
        mark(ledger, "done", 4, 5, 11)
        self.mended(ledger, repair, "mark_without_outcome")

    def test_an_outcome_without_a_mark(self, ledger, repair):
        mark(ledger, "done", 1, bit=0)
        self.mended(ledger, repair, "outcome_without_mark")
        assert info(ledger, NAME).failed == 1

    def test_an_outcome_of_another_state(self, ledger, repair):
        mark(ledger, "failed", 0, bit=0)
        self.mended(ledger, repair, "wrong_mark")
        assert info(ledger, NAME).failed == 1

    def test_counters(self, ledger, repair):
        ledger.client.hincrby(ledger.key(NAME, "state"), "succeeded", 3)
        ledger.client.hset(ledger.key(NAME, "state"), "dead", 1)
        self.mended(ledger, repair, "wrong_counters")

    def test_a_chunk_that_is_nowhere(self, ledger, repair):
        member = ledger.client.zrange(ledger.key(NAME, "in_flight"), 0, 0)[0]
        ledger.client.zrem(ledger.key(NAME, "in_flight"), member)
        self.mended(ledger, repair, "in_no_place", "notes_without_chunk")

    def test_a_cursor_that_stayed_behind(self, ledger, repair):
        ledger.client.hset(ledger.key(NAME, "state"), "cursor", 2)
        self.mended(ledger, repair, "wrong_cursor")

    def test_the_sets_of_batches(self, ledger, repair):
        for part in ("batches", "active", "due"):
            ledger.client.zrem(ledger.settings.key(part), NAME)
        assert NAME in repair.names()
        self.mended(ledger, repair, "wrong_sets")

    def test_a_finish_too_early(self, ledger, repair):
        ledger.client.hset(ledger.key(NAME, "state"), "finished", 1)
        self.mended(ledger, repair, "finished_too_early")

    @pytest.mark.parametrize("is_marked", [False, True])
    @pytest.mark.parametrize("runs", [0, 1])
    def test_a_cancel_that_broke_off(self, ledger, repair, runs, is_marked):
        """No worker runs that would end it."""
        if runs:
            ledger.take(pop(ledger), WORKER)
        ledger.client.hset(ledger.key(NAME, "state"), mapping={"cancelling": 1, "reason": "by me"})
        if is_marked:
            ledger.client.setbit(ledger.key(NAME, "cancelled"), info(ledger, NAME).submitted - 1, 1)
        waiting = repair.examine(NAME)["half_cancelled"]
        assert waiting == repair.mend(NAME)["half_cancelled"] == info(ledger, NAME).cancelled
        assert repair.examine(NAME) == {}
        assert bool(info(ledger, NAME).finished) is not bool(runs), "what runs ends first"
        assert (info(ledger, NAME).left > 0) == bool(runs)

    def test_a_cancel_that_an_older_version_left_on_an_ended_batch(self, ledger, repair):
        control = Control(ledger.client, ledger.settings)
        control.cancel(NAME, "by me")
        ledger.client.hset(ledger.key(NAME, "state"), "cancelling", 1)
        self.mended(ledger, repair, "cancel_not_ended")
        assert control.retry(NAME, cancelled=True) > 0

    def test_an_event_is_missing(self, ledger, repair):
        (identity, _), *_ = ledger.client.xrange(ledger.key(NAME, "events"))
        ledger.client.xdel(ledger.key(NAME, "events"), identity)
        self.mended(ledger, repair, "events_missing")
        told = [index for _, fields in ledger.client.xrange(ledger.key(NAME, "events")) for index in spans(fields)]
        assert sorted(told) == list(range(COUNT))

    def test_two_outcomes(self, ledger, repair):
        settle_all(ledger)
        header = {"state": "succeeded", "attempts": 1, "worker": WORKER, "pid": 1, "seconds": [0.1, 0.1]}
        ledger.client.hset(ledger.key(NAME, "out:0"), "2:2", json.dumps(header) + "\n2\n3")
        self.mended(ledger, repair, "two_outcomes")

    def test_counts_of_the_queue(self, ledger, repair):
        ledger.client.hincrby(ledger.settings.key("queue:cpu"), "open", 5)
        ledger.client.hincrby(ledger.settings.key("slots"), "cpu", 5)
        assert repair.queues(QUEUES, mend=False) == {"cpu": 2}
        repair.queues(QUEUES, mend=True)
        assert repair.queues(QUEUES, mend=False) == {}

    def test_a_large_batch_of_which_most_is_open_or_consumed(self, ledger, repair):
        items, wrong = 20_000, 12_345
        submit(ledger, "large", items, block=2000)
        for part in ("done", "consumed"):
            ledger.client.setrange(ledger.key("large", part), 0, b"\xff" * (10_000 // 8))
        after, found, *_ = repair._call("repair_items", batch="large", bucket=0, mend=False)
        assert (after, found) == (-1, []), "one call passes over 40 buckets in which all items are alike"
        # An item whose outcome stands, and of which no event tells; and one that is marked and has none.
        header = json.dumps({"state": "succeeded", "attempts": 1, "worker": WORKER, "pid": 7, "seconds": [0.1]})
        ledger.client.hset(ledger.key("large", f"out:{wrong // 500}"), str(wrong), f"{header}\nnull")
        ledger.client.setbit(ledger.key("large", "done"), wrong, 1)
        ledger.client.setbit(ledger.key("large", "done"), wrong + 3_000, 1)
        # A whole bucket that is marked, has no outcome and was not consumed.
        ledger.client.setrange(ledger.key("large", "done"), 16_000 // 8, b"\xff" * (504 // 8))
        found = repair.examine("large")
        # All are marked as done, and no event tells of them.
        assert (found["mark_without_outcome"], found["events_missing"]) == (505, 506)
        assert "wrong_mark" not in found

    def test_what_is_left_of_a_deleted_batch(self, ledger, repair):
        ledger.client.hdel(ledger.key(NAME, "state"), "task")
        assert repair.mend(NAME)["left_over"] > 3
        assert not ledger.client.keys(ledger.key(NAME, "*"))
        assert repair.names() == []


def spans(fields):
    for first, last, _ in event_ranges(fields["ranges"]):
        yield from range(first, last + 1)


class TestHalfScripts:
    """The AOF of a batch's life, cut within each script's writes, with and without what followed."""

    @pytest.fixture(scope="class")
    @classmethod
    def steps(cls, tmp_path_factory):
        """The writes of a batch that is submitted, fails in part, is retried, paused, consumed and cancelled."""
        with PrivateServer(Home(tmp_path_factory.mktemp("life")), load({})) as server:
            with Redis.from_url(server.url, decode_responses=True) as client:
                cls.live(Ledger(client, load({})))
            data = appended(server.directory)[-1].read_bytes()
        return list(transactions(data))

    @staticmethod
    def live(ledger):
        control = Control(ledger.client, ledger.settings)
        ledger.create(NAME, "token", {**FIELDS, "retries": 1})
        enlist(ledger)
        ledger.heartbeat(WORKER, heartbeat(3), [])
        for first in (0, 6):
            ledger.append(NAME, "token", first, [str(index) for index in range(first, first + 6)], f"sha{first + 6}")
        for state, retry_ms in (("succeeded", None), ("failed", 0), ("failed", None), ("dead", None)):
            chunk = pop(ledger)
            ledger.record(chunk, outcomes(ledger.take(chunk, WORKER).items, state, retry_ms), 0.001, WORKER)
        ledger.end(NAME, "token", 0)
        control.pause(NAME)
        control.resume(NAME)
        run_all(ledger)
        let_time_pass(ledger, NAME)
        run_all(ledger)
        control.retry(NAME)
        chunk = pop(ledger)
        work = ledger.take(chunk, WORKER)
        control.cancel(NAME, "by me")
        # It ends with the batch, and without the rest of its items.
        ledger.record(chunk, outcomes(work.items[:1]), 0.1, WORKER, rest=chunk.count - 1)
        assert control.retry(NAME, cancelled=True) > 0
        run_all(ledger)

    @pytest.mark.parametrize(
        ("followed", "stride"),
        [(0, 4), (8, 4), *(pytest.param(number, 1, marks=pytest.mark.slow) for number in (0, 1, 8))],
    )
    def test_a_script_is_applied_in_part(self, client, steps, followed, stride):
        """After the part, `followed` steps: the script again, as its caller repeats it, and what came next."""
        ledger = Ledger(client, load({}))
        parts = disagreements = 0
        for place, step in enumerate(steps):
            for length in range(1 + place % stride, len(step.commands), stride):
                replay_half(client, steps, place, length, followed)
                if not ledger.state(NAME).get("task"):
                    continue
                try:
                    disagreements += mended(ledger)
                except AssertionError as error:
                    raise AssertionError(f"step {place}: {step.commands}, {length} of them") from error
                parts += 1
        assert parts > len(steps) / 4
        # A script that is applied again, whole, mends most of what its half left: it writes counts, not differences.
        assert disagreements > parts / 4 or followed

    def test_a_batch_whose_end_is_written_in_part_can_be_retried(self, client, steps):
        """It was finished and being cancelled: that was never mended, and no retry ran its items."""
        ledger = Ledger(client, load({}))
        control = Control(client, ledger.settings)
        ends = [place for place, step in enumerate(steps) if any(b"finished" in command for command in step.commands)]
        numbers = []
        for place in ends:
            for length in range(1, len(steps[place].commands)):
                replay_half(client, steps, place, length)
                mended(ledger)
                numbers.append(control.retry(NAME, cancelled=True))
        assert len(ends) > 2
        assert max(numbers) > 0


def commands_of(steps):
    return [command for step in steps for command in step.commands]


def replay_half(client, steps, place, length, followed=0):
    """A server on which `length` commands of a step were applied, then `followed` steps from that one on."""
    client.flushdb()
    half = [*commands_of(steps[:place]), *steps[place].commands[:length]]
    replay(client, [*half, *commands_of(steps[place : place + followed])])
    # Its worker was there all the time.
    client.zadd("gm1:workers", {WORKER: time.time() * 1000}, xx=True)


def replay(client, commands):
    with client.pipeline(transaction=False) as pipe:
        for command in commands:
            if command[0].upper() != b"SELECT":
                pipe.execute_command(*command)
        pipe.execute(raise_on_error=False)


def mended(ledger):
    """Mend and run the batch to its end; whether anything disagreed. Outcomes that a reader could see stay."""
    repair = Repair(ledger.client, ledger.settings)
    before = recorded(ledger)
    findings = repair.mend(NAME)
    assert repair.examine(NAME) == {}, findings
    repair.queues(QUEUES, mend=True)
    after = recorded(ledger)
    assert {index: outcome for index, outcome in before.items() if outcome[0] == "succeeded"}.items() <= after.items()
    producer(ledger)
    enlist(ledger)
    settle_all(ledger)
    assert repair.examine(NAME) == {}
    assert repair.queues(QUEUES, mend=False) == {}
    batch = info(ledger, NAME)
    assert batch.submitted == batch.succeeded + batch.failed + batch.cancelled + batch.dead == COUNT or batch.reason
    assert recorded(ledger).items() >= {i: o for i, o in after.items() if o[0] == "succeeded"}.items()
    return bool(findings)


def recorded(ledger):
    """State and attempts of each item, as a reader sees them."""
    stored = int(ledger.state(NAME).get("stored", 0))
    results = ResultReader(ledger.client, ledger.settings, NAME).in_order(0, stored)
    return {result.index: (result.state, result.attempts) for result in results}


def producer(ledger):
    """The same command again: it goes on where the items end."""
    state = ledger.state(NAME)
    if "input_ended" in state:
        if "paused" in state:
            Control(ledger.client, ledger.settings).resume(NAME)
        return
    ledger.client.hdel(ledger.key(NAME, "state"), "producer")
    feed = ledger.create(NAME, "other", {**FIELDS, "retries": 1})
    for first in range(feed.stored, COUNT):
        ledger.append(NAME, "other", first, [str(first)], f"sha{first + 1}")
    ledger.end(NAME, "other", 0)
