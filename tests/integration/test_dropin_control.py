"""Drop-in: workers are asked, told and scaled as ever; what is revoked does not run; limits are kept."""

import os
import signal
import time
from datetime import datetime

import pytest

from tests.conftest import until
from tests.support.dropin_bench import DropIn

pytestmark = pytest.mark.slow
BENCH = DropIn

LEASE_SECONDS = 2


def test_a_worker_answers_what_it_is_asked(bench):
    bench.worker("prefork", 1, 3)
    bench.ready()
    assert bench.ask("app.control.ping(timeout=30, limit=1)") == [{"w0@t": {"ok": "pong"}}]
    assert [queue["name"] for queue in bench.inspect("active_queues()")] == ["q"]
    assert f"{bench.app}.mark" in bench.inspect("registered()")
    bench.send("for n in range(5): mark.delay(n, hold='one')")
    bench.send("mark.apply_async((9,), countdown=60, task_id='nine', priority=7)")
    until(lambda: bench.begun() == [0], 60)
    assert [task["args"] for task in bench.inspect("active()")] == [[0]]
    until(lambda: sorted(task["args"] for task in bench.inspect("reserved()")) == [[1], [2]], 60)
    # What waits for its time waits on the server, and looks as if stock Celery's timer had it.
    waiting = {
        "id": "nine",
        "name": f"{bench.app}.mark",
        "args": [9],
        "kwargs": {},
        "type": f"{bench.app}.mark",
        "hostname": "w0@t",
        "time_start": None,
        "acknowledged": False,
        "delivery_info": {"exchange": "", "routing_key": "q", "priority": 7, "redelivered": False},
        "worker_pid": None,
    }
    (scheduled,) = bench.inspect("scheduled()")
    eta = datetime.fromisoformat(scheduled.pop("eta"))
    assert scheduled == {"priority": 6, "request": waiting}
    assert eta.tzinfo
    assert 0 < eta.timestamp() - time.time() <= 60
    assert bench.inspect("query_task('nine', 'ten')") == {"nine": ["scheduled", waiting]}
    found = bench.inspect("stats()")
    assert (found["prefetch_count"], found["broker"]["transport"]) == (3, "gristmill")
    bench.go("one")
    until(lambda: bench.done() == [0, 1, 2, 3, 4] and bench.standing() == 0, 60)


def test_a_queue_is_added_and_cancelled_while_a_worker_runs(bench):
    bench.worker("threads", 1)
    bench.ready()
    bench.send("app.control.add_consumer('other', reply=True, limit=1, timeout=30)")
    bench.send("mark.apply_async((1,), queue='other')")
    until(lambda: bench.done() == [1], 60)
    bench.send("app.control.cancel_consumer('other', reply=True, limit=1, timeout=30)")
    assert [queue["name"] for queue in bench.inspect("active_queues()")] == ["q"]
    bench.send("mark.apply_async((2,), queue='other'); mark.delay(3)")
    until(lambda: bench.done() == [1, 3], 60)
    bench.ended()
    with bench.connect() as connection:
        assert connection.default_channel._size("other") == 1
    bench.send("app.control.add_consumer('other', reply=True, limit=1, timeout=30)")
    until(lambda: bench.done() == [1, 2, 3], 60)


def test_a_pool_grows_and_shrinks_and_the_prefetch_with_it(bench):
    bench.worker("prefork", 1)
    bench.ready()
    bench.send("for n in range(6): mark.delay(n, hold='one')")
    until(lambda: bench.begun() == [0], 60)
    bench.send("app.control.pool_grow(2, reply=True, limit=1, timeout=30)")
    until(lambda: len(bench.begun()) == 3, 60, "three at once")
    assert bench.inspect("stats()")["prefetch_count"] == 3
    bench.go("one")
    until(lambda: len(bench.done()) == 6, 60)
    bench.send("app.control.pool_shrink(1, reply=True, limit=1, timeout=30)")
    until(lambda: len(bench.inspect("stats()")["pool"]["processes"]) == 2, 60)
    bench.send("for n in range(6, 20): mark.delay(n)")
    until(lambda: len(bench.done()) == 20, 60)
    bench.ended()
    assert bench.done() == list(range(20))


@pytest.mark.slow
def test_a_worker_scales_itself_and_loses_nothing(bench):
    bench.environ["AUTOSCALE_KEEPALIVE"] = "1"
    bench.worker("prefork", 1, 1, "--autoscale=4,1")
    bench.ready()
    bench.send("for n in range(80): mark.delay(n, 0.3)")
    until(lambda: len(bench.inspect("stats()")["pool"]["processes"]) == 4, 60, "the growth")
    until(lambda: len(bench.done()) == 80, 60)
    until(lambda: len(bench.inspect("stats()")["pool"]["processes"]) == 1, 90, "the shrinking")
    bench.send("for n in range(80, 90): mark.delay(n)")
    until(lambda: len(bench.done()) == 90, 60)
    bench.ended()
    assert bench.done() == list(range(90))


def test_events_tell_what_tasks_do(bench):
    bench.worker("prefork", 1, 1, "-E")
    bench.ready()
    code = """
seen = []
def note(event):
    # Once something is heard, all that follows is.
    seen or (add.delay(1, 2), fail.delay())
    seen.append(event["type"])
    receiver.should_stop = {"task-succeeded", "task-failed"} <= set(seen)
with app.connection_for_read() as connection:
    receiver = app.events.Receiver(connection, handlers={"*": note})
    receiver.capture(timeout=40)
"""
    seen = bench.ask("seen", code)
    assert {"task-received", "task-started", "task-succeeded", "task-failed"} <= set(seen)


def test_purge_drops_what_nobody_has_taken_and_says_how_many(bench):
    bench.send("for n in range(5): mark.delay(n, hold='one')")
    bench.send("mark.apply_async((9,), countdown=60); mark.apply_async((8,), priority=7)")
    bench.worker("prefork", 1)
    until(lambda: bench.begun() == [0], 60)
    assert "6 messages" in bench.celery("purge", "-f", "-Q", "q").stdout
    bench.go("one")
    bench.ended()
    assert bench.done() == [0]
    bench.send("mark.delay(10)")
    until(lambda: bench.done() == [0, 10], 60)


class TestRevoke:
    def test_of_what_waits_is_prefetched_runs_or_is_not_yet_due(self, bench):
        bench.worker("prefork", 1, 3)
        bench.ready()
        code = "sent = [mark.apply_async((n,), {'hold': 'one'}, task_id=f'{n}') for n in range(6)]"
        bench.send(f"{code}\nmark.apply_async((6,), countdown=4, task_id='6')")
        until(lambda: bench.begun() == [0] and len(bench.inspect("reserved()")) == 2, 60)
        # 0 runs, 1 and 2 are prefetched, 3 to 5 wait on the queue, 6 for its time.
        bench.send("app.control.revoke(['1', '4', '6'], reply=True, limit=1, timeout=30)")
        bench.go("one")
        bench.ended()
        assert bench.done() == [0, 2, 3, 5]
        assert bench.ask("[app.AsyncResult(id).state for id in ('0', '1', '4', '6')]") == [
            "SUCCESS", "REVOKED", "REVOKED", "REVOKED",
        ]  # fmt: skip

    def test_with_terminate_ends_what_runs_and_nobody_runs_it_again(self, bench):
        bench.worker("prefork", 2)
        bench.worker("prefork", 2)
        bench.send("mark.apply_async((1, 60), task_id='long'); mark.delay(2)")
        until(lambda: bench.done() == [2] and 1 in bench.begun(), 60)
        bench.send("app.control.revoke('long', terminate=True, signal='SIGKILL', reply=True, timeout=3)")
        bench.ended()
        assert bench.ask("app.AsyncResult('long').state") == "REVOKED"
        # Each slot of both, once more.
        bench.send("for n in range(3, 20): mark.delay(n)")
        until(lambda: len(bench.done()) == 18, 60)
        assert bench.begun().count(1) == 1
        assert bench.dead() == []

    @pytest.mark.parametrize("countdown", [0, 3])
    def test_without_any_worker_is_remembered_for_those_to_come(self, bench, countdown):
        bench.send(
            f"one = mark.apply_async((1,), countdown={countdown}); mark.apply_async((2,), countdown={countdown})\n"
            "one.revoke()"
        )
        bench.worker("threads", 2)
        until(lambda: bench.done() == [2], 60)
        bench.ended()
        assert bench.begun() == [2]

    def test_outlives_the_worker_that_was_told(self, bench):
        first = bench.worker("prefork", 1)
        bench.send("mark.delay(1, 60); mark.apply_async((2,), task_id='two')")
        until(lambda: bench.begun() == [1], 60)
        bench.send("app.control.revoke('two', reply=True, limit=1, timeout=30)")
        os.killpg(first.pid, signal.SIGKILL)
        bench.worker("prefork", 2)
        bench.send("mark.delay(3)")
        until(lambda: 3 in bench.done() and bench.begun().count(1) == 2 and bench.standing() == 1, 60)
        assert 2 not in bench.begun()


class TestRateLimit:
    def test_of_messages_that_wait_longer_than_a_lease(self, bench):
        bench.send("for n in range(20): limited.delay(n)")
        began = time.monotonic()
        bench.worker("prefork", 1, 30)
        bench.ready()
        bench.worker("prefork", 1, 30)
        until(lambda: len(bench.done()) == 20, 60)
        bench.ended()
        assert bench.begun() == list(range(20))
        # 5 a second; the first worker has them all.
        assert time.monotonic() - began > 3.8 > LEASE_SECONDS

    def test_that_is_set_while_a_worker_runs(self, bench):
        bench.worker("threads", 1, 10)
        bench.ready()
        bench.send(f"app.control.rate_limit('{bench.app}.mark', '1/m', reply=True, limit=1, timeout=30)")
        bench.send("for n in range(5): mark.delay(n)")
        until(lambda: bench.done() == [0], 60)
        bench.send(f"app.control.rate_limit('{bench.app}.mark', None, reply=True, limit=1, timeout=30)")
        bench.send("mark.delay(5)")
        until(lambda: 5 in bench.done(), 60)

    def test_is_no_reason_to_keep_messages_at_the_end(self, bench):
        first = bench.worker("prefork", 1, 10)
        bench.ready()
        bench.send(f"app.control.rate_limit('{bench.app}.mark', '1/m', reply=True, limit=1, timeout=30)")
        bench.send("for n in range(5): mark.delay(n)")
        until(lambda: bench.done() == [0], 60)
        first.send_signal(signal.SIGTERM)
        assert first.wait(60) == 0
        assert bench.client.zcard(f"{bench.prefix}gm1:back:q") == 4
        bench.worker("prefork", 1)
        until(lambda: bench.done() == [0, 1, 2, 3, 4], 60)
        bench.ended()
        assert bench.dead() == []
