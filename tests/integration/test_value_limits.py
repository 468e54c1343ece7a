"""Limits that hold for each value, and limits of a task over all of its batches, on a real server."""

from collections import Counter
from functools import partial

import pytest

from gristmill.batches.control import Control
from gristmill.batches.repair import Repair
from gristmill.server.scripts import server_time
from tests.support.ledger import FIELDS, WORKER, enlist, heartbeat, info, outcomes, pop, submit

#: What the tests limit the items by: three values take turns.
VALUES = 3


def value(index):
    return f"{1 + index % VALUES:012x}"


def submit_by_value(ledger, name, count, block=100, **fields):
    """A batch whose items have values that limits know."""
    enlist(ledger)
    ledger.create(name, "token", {**FIELDS, **fields})
    for first in range(0, count, block):
        end = min(count, first + block)
        indexes = range(first, end)
        ledger.append(name, "token", first, list(map(str, indexes)), f"sha{end}", "".join(map(value, indexes)))
    ledger.end(name, "token", 0)


def chunks_in_flight(ledger, *names):
    return [
        (name, int(chunk.partition(":")[0]))
        for name in names or ("b",)
        for chunk in ledger.client.zrange(ledger.key(name, "in_flight"), 0, -1)
    ]


def running(ledger, *names):
    """How many items of each value are in flight."""
    return Counter(index % VALUES for _, index in chunks_in_flight(ledger, *names))


def run_next(ledger, state="succeeded", retry_ms=None):
    """Run the chunk whose message comes first, and what the slot goes on with: the batch and the indexes."""
    chunk = pop(ledger)
    assert chunk, "nothing is on the queue"
    work = ledger.take(chunk, WORKER)
    ran = []
    while work:
        ran += [item.index for item in work.items]
        ended = outcomes(work.items, state, retry_ms if work.items[0].attempt == 1 else None)
        _, work = ledger.record_and_go_on(chunk, ended, 0.1 * len(ended), WORKER)
        chunk = work.chunk if work else chunk
    return chunk.batch, ran


def forward(ledger, seconds):
    """Put the server's clock forward, and hand out what is let by then."""
    # The heartbeat would take back half of what is `ahead`, and nothing of what the time was `at`.
    at = 1e6 * (server_time(ledger.client, ledger.settings.prefix) + seconds)
    ledger.client.hset(ledger.settings.key("clock"), "at", f"{at:.0f}")
    ledger.heartbeat(WORKER, heartbeat(16), [])


def keys_left(ledger, *names):
    """What is left of batches that have ended, and of their task's limits, beyond what is kept of any batch."""
    parts = ("parked", "ready", "running", "rates")
    kept = [ledger.key(name, part) for name in names for part in parts]
    limits = [*ledger.client.scan_iter(ledger.settings.key("limit:*running")), ledger.settings.key("pacing")]
    return [key for key in (*kept, *limits) if ledger.client.exists(key)]


class TestOfABatch:
    def test_so_many_of_each_value_run_and_each_item_once(self, ledger):
        submit_by_value(ledger, "b", 60, limit_by="n", max_running="2")
        assert running(ledger) == {0: 2, 1: 2, 2: 2}
        assert info(ledger, "b").held_by == "max_running"
        ran = []
        while info(ledger, "b").left:
            ran += run_next(ledger)[1]
            assert max(running(ledger).values(), default=0) <= 2
        assert (sorted(ran), info(ledger, "b").duplicates) == (list(range(60)), 0)
        assert keys_left(ledger, "b") == []

    def test_other_values_go_on_while_one_waits(self, ledger):
        # The first 600 items are of one value, more than a lot; those of the others come behind them.
        enlist(ledger)
        ledger.create("b", "token", {**FIELDS, "limit_by": "n", "max_running": "1"})
        values = [0] * 600 + [1, 2]
        ledger.append("b", "token", 0, list(map(str, range(602))), "sha", "".join(map(value, values)))
        assert sorted(index for _, index in chunks_in_flight(ledger)) == [0, 600, 601]

    def test_each_value_has_its_rate(self, ledger):
        submit_by_value(ledger, "b", 30, limit_by="n", rate="1/s")
        assert running(ledger) == {0: 1, 1: 1, 2: 1}
        assert info(ledger, "b").held_by == "rate"
        ran = Counter()
        for second in range(1, 5):
            while ledger.client.xlen(ledger.settings.key("q:cpu:0")):
                ran.update(index % VALUES for index in run_next(ledger)[1])
            assert all(second <= ran[each] <= second + 2 for each in range(VALUES))
            forward(ledger, 1)

    @pytest.mark.parametrize("control", ["pause", "cancel", "delete"])
    def test_nothing_is_handed_out_of_a_batch_that_does_not_go_on(self, ledger, control):
        submit_by_value(ledger, "b", 30, limit_by="n", max_running="1")
        controls = Control(ledger.client, ledger.settings)
        act = {"pause": controls.pause, "cancel": partial(controls.cancel, reason="by me"), "delete": ledger.delete}
        act[control]("b")
        forward(ledger, 1)
        if control == "pause":
            while chunk := pop(ledger):
                assert ledger.take(chunk, WORKER) is None
            assert controls.resume("b")
            while info(ledger, "b").left:
                run_next(ledger)
            assert info(ledger, "b").succeeded == 30
        assert keys_left(ledger, "b") == []

    def test_attempts_and_retries_keep_to_it(self, ledger):
        submit_by_value(ledger, "b", 9, limit_by="n", max_running="1", retries=1)
        assert run_next(ledger, "failed", 1)[1]
        while info(ledger, "b").left:
            forward(ledger, 1)
            run_next(ledger, "failed")
            assert max(running(ledger).values(), default=0) <= 1
        assert Control(ledger.client, ledger.settings).retry("b") == 9
        while info(ledger, "b").left:
            assert max(running(ledger).values(), default=0) <= 1
            run_next(ledger)
        assert (info(ledger, "b").succeeded, info(ledger, "b").failed) == (9, 0)

    def test_a_cancelled_item_is_not_handed_out_and_runs_when_it_is_retried(self, ledger):
        submit_by_value(ledger, "b", 9, limit_by="n", max_running="1")
        controls = Control(ledger.client, ledger.settings)
        assert controls.cancel_item("b", 8, "by me") == "waiting"
        assert Repair(ledger.client, ledger.settings).examine("b") == {}
        assert controls.retry_item("b", 8)
        ran = []
        while info(ledger, "b").left:
            ran += run_next(ledger)[1]
        assert sorted(ran) == list(range(9))

    def test_what_a_torn_write_leaves_is_mended(self, ledger):
        submit_by_value(ledger, "b", 30, limit_by="n", max_running="1")
        repair = Repair(ledger.client, ledger.settings)
        assert repair.examine("b") == {}
        ledger.client.zadd(ledger.key("b", "running"), {value(0): 7})
        ledger.client.delete(ledger.key("b", "ready"))
        ledger.client.zrem(ledger.key("b", "parked"), *ledger.client.zrange(ledger.key("b", "parked"), 0, 3))
        assert {"wrong_counts", "in_no_place"} <= repair.mend("b").keys()
        assert repair.examine("b") == {}
        while info(ledger, "b").left:
            run_next(ledger)
        assert info(ledger, "b").succeeded == 30


class TestOfATask:
    def test_its_batches_share_it_by_turns(self, ledger):
        names = ("a", "b", "c")
        for name in names:
            submit(ledger, name, 8, task_max_running="2")
        batches = []
        while any(info(ledger, name).left for name in names):
            assert len(chunks_in_flight(ledger, *names)) <= 2
            batches.append(run_next(ledger)[0])
        assert all(info(ledger, name).succeeded == 8 for name in names)
        # `a` had all the room, and was the first that waited for more.
        assert "".join(batches[:8]) == "aa" + "abc" + "abc"
        assert keys_left(ledger, *names) == []

    def test_a_batch_has_its_own_limit_beside_it(self, ledger):
        submit(ledger, "b", 20, task_max_running="4", max_running="1")
        assert (len(chunks_in_flight(ledger)), info(ledger, "b").held_by) == (1, "max_running")
        submit(ledger, "a", 20, task_max_running="4", max_running="8")
        assert (len(chunks_in_flight(ledger, "a")), info(ledger, "a").held_by) == (3, "task_max_running")

    def test_its_rate_is_that_of_all_its_batches(self, ledger):
        names = ("a", "b")
        for name in names:
            submit(ledger, name, 20, task_rate="60/m")
        started_at = server_time(ledger.client, ledger.settings.prefix)
        while any(info(ledger, name).left for name in names):
            forward(ledger, 1)
            while ledger.client.xlen(ledger.settings.key("q:cpu:0")):
                run_next(ledger)
            done = sum(info(ledger, name).done for name in names)
            assert done <= server_time(ledger.client, ledger.settings.prefix) - started_at + 2
        assert keys_left(ledger, *names) == []

    def test_its_batches_share_each_value(self, ledger):
        names = ("a", "b")
        for name in names:
            submit_by_value(ledger, name, 12, task_limit_by="n", task_max_running="2")
        assert running(ledger, *names) == {0: 2, 1: 2, 2: 2}
        while any(info(ledger, name).left for name in names):
            run_next(ledger)
            assert max(running(ledger, *names).values(), default=0) <= 2
        assert keys_left(ledger, *names) == []

    @pytest.mark.parametrize("control", ["pause", "cancel", "delete"])
    def test_a_batch_that_does_not_go_on_leaves_its_room_to_the_others(self, ledger, control):
        submit(ledger, "b", 20, task_max_running="1")
        submit(ledger, "a", 5, task_max_running="1")
        assert chunks_in_flight(ledger, "a", "b") == [("b", 0)]
        controls = Control(ledger.client, ledger.settings)
        act = {"pause": controls.pause, "cancel": partial(controls.cancel, reason="by me"), "delete": ledger.delete}
        act[control]("b")
        while info(ledger, "a").left:
            chunk = pop(ledger)
            work = chunk and ledger.take(chunk, WORKER)
            if work:
                ledger.record(chunk, outcomes(work.items), 0.1, WORKER)
            forward(ledger, 0 if work else 4)
        assert info(ledger, "a").succeeded == 5

    def test_a_wrong_count_is_mended(self, ledger):
        submit(ledger, "ended", 1, task_max_running="1", task="double")
        chunk = pop(ledger)
        ledger.record(chunk, outcomes(ledger.take(chunk, WORKER).items), 0.1, WORKER)
        submit(ledger, "b", 20, task_max_running="1")
        counts = [ledger.settings.key(f"limit:{task}:running") for task in ("fibonacci", "double")]
        for key in counts:
            ledger.client.zadd(key, {"": 7})
        repair = Repair(ledger.client, ledger.settings)
        assert (repair.limits(mend=False), repair.limits(mend=True), repair.limits(mend=False)) == (2, 2, 0)
        assert [ledger.client.zscore(key, "") for key in counts] == [1, None]


def tell_next(ledger):
    """Tell the values of the chunk whose message comes first, as a worker does: the chunk, and their number."""
    chunk = pop(ledger)
    work = ledger.take(chunk, WORKER)
    assert work.limit_by == "n"
    assert ledger.tell_values(chunk, "".join(value(item.index) for item in work.items))
    return chunk, len(work.items)


class TestThatWorkersTell:
    """Of items whose producer did not say by what they are limited, as values of another batch."""

    def test_one_chunk_tells_many_and_then_each_keeps_to_its_value(self, ledger):
        submit(ledger, "b", 60, limit_by="n", max_running="2", task_rate="60/m")
        assert chunks_in_flight(ledger) == [("b", 0)]
        forward(ledger, 60)
        assert tell_next(ledger)[1] == 60
        ran = []
        while info(ledger, "b").left:
            assert max(running(ledger).values(), default=0) <= 2
            ran += run_next(ledger)[1] if ledger.client.xlen(ledger.settings.key("q:cpu:0")) else []
            forward(ledger, 1)
        assert (sorted(ran), info(ledger, "b").duplicates) == (list(range(60)), 0)
        assert keys_left(ledger, "b") == []

    def test_values_of_another_batch_are_told_as_they_come(self, ledger):
        submit(ledger, "a", 4)
        take_from = {"from_batch": "a", "from_states": "succeeded", "task_limit_by": "n", "task_max_running": "1"}
        ledger.create("b", "token", {**FIELDS, **take_from})
        while info(ledger, "a").left:
            run_next(ledger)
        while (chunk := pop(ledger, stays=True)) and ledger.take(chunk, WORKER).limit_by:
            tell_next(ledger)
        while info(ledger, "b").left:
            assert max(running(ledger, "b").values()) <= 1
            run_next(ledger)
        assert (info(ledger, "b").succeeded, info(ledger, "b").state) == (4, "succeeded")
        assert keys_left(ledger, "a", "b") == []

    def test_whoever_tells_late_or_again_takes_nothing_from_who_runs(self, ledger):
        submit(ledger, "b", 1, limit_by="n", max_running="1")
        chunk, _ = tell_next(ledger)
        # The item runs now, as a chunk of the same name.
        assert chunks_in_flight(ledger) == [("b", 0)]
        assert not ledger.tell_values(chunk, value(7))
        assert chunks_in_flight(ledger) == [("b", 0)]
        assert run_next(ledger)[1] == [0]

    def test_what_is_not_told_is_told_later(self, ledger):
        submit(ledger, "b", 5, limit_by="n", max_running="1")
        chunk = pop(ledger)
        ledger.take(chunk, WORKER)
        assert ledger.tell_values(chunk, value(0) + value(1))
        while info(ledger, "b").left:
            chunk = pop(ledger, stays=True)
            run_next(ledger) if not ledger.take(chunk, WORKER).limit_by else tell_next(ledger)
        assert info(ledger, "b").succeeded == 5

    @pytest.mark.parametrize("control", ["pause", "cancel", "retry"])
    def test_a_batch_that_stops_meanwhile(self, ledger, control):
        submit(ledger, "b", 5, limit_by="n", max_running="1")
        chunk = pop(ledger)
        ledger.take(chunk, WORKER)
        controls = Control(ledger.client, ledger.settings)
        if control == "pause":
            controls.pause("b")
        else:
            controls.cancel("b", reason="by me")
        assert ledger.tell_values(chunk, "".join(map(value, range(5))))
        assert chunks_in_flight(ledger) == []
        if control == "retry":
            controls.retry("b", cancelled=True)
            assert not ledger.tell_values(chunk, value(7))
        elif control == "pause":
            controls.resume("b")
        while info(ledger, "b").left:
            run_next(ledger)
        assert (info(ledger, "b").cancelled == 5) is (control == "cancel")
        assert Repair(ledger.client, ledger.settings).examine("b") == {}
