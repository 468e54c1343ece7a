"""What a pool no longer runs is acknowledged or handed back, on every pool."""

import signal
import time

import pytest

from tests.conftest import until
from tests.support.dropin_bench import DropIn
from tests.support.transport_bench import Bench

POOLS = {"prefork": 2, "threads": 2, "solo": 1, "gevent": 2, "eventlet": 2}
#: One of each way to run tasks: processes, threads, and threads that switch where they wait.
WAYS = pytest.mark.parametrize("pool", ["prefork", "threads", "gevent"])
#: A result backend that gives up soon.
QUICK = {"TEST_BACKEND_OPTIONS": '{"retry_policy": {"max_retries": 1, "interval_start": 0.05}}'}


@pytest.mark.parametrize("pool", POOLS)
def test_a_task_whose_result_cannot_be_stored_runs_again_until_it_is(server, proxy, tmp_path, pool):
    bench = DropIn(server.url, tmp_path, **QUICK)
    try:
        bench.send("for n in range(4): mark.apply_async((n,), task_id=f'{n}')")
        bench.send("mark.apply_async((9,), task_id='9', expires=0.01)")
        proxy.cut_often(1.0)
        bench.environ["TEST_BACKEND"] = server.url.replace(f":{server.port}", f":{proxy.port}")
        bench.worker(pool, POOLS[pool])
        del bench.environ["TEST_BACKEND"]
        until(lambda: bench.log().count("Celery could not end") >= 6, 60, "tries")
        assert (bench.standing(), bench.dead()) == (5, [])
        assert "connection to broker lost" not in bench.log().lower()
        proxy.cut_often(0)
        bench.ended()
        assert bench.ask("[app.AsyncResult(f'{n}').get(timeout=50) for n in range(4)]") == [0, 1, 2, 3]
        assert bench.ask("app.AsyncResult('9').state") == "REVOKED"
        assert bench.dead() == []
        assert len(bench.begun()) <= 16, "again ever more seldom"
    finally:
        bench.close()


@WAYS
def test_a_task_whose_result_is_refused_becomes_a_dead_letter(server, tmp_path, pool):
    bench = DropIn(server.url, tmp_path, **QUICK)
    try:
        bench.client.rpush(f"{bench.prefix}celery-task-meta-1", "not a result")
        bench.worker(pool, POOLS[pool])
        bench.send("mark.apply_async((1,), task_id='1'); mark.apply_async((2,), task_id='2')")
        assert bench.ask("app.AsyncResult('2').get(timeout=50)") == 2
        (letter,) = until(bench.dead)
        assert "WRONGTYPE" in letter["reason"]
        bench.ended()
        assert bench.begun() == [1, 2]
    finally:
        bench.close()


@WAYS
def test_a_task_that_runs_out_of_memory_fails_and_its_worker_goes_on(server, tmp_path, pool):
    bench = DropIn(server.url, tmp_path)
    try:
        worker = bench.worker(pool, POOLS[pool])
        sent = "one = run_out_of_memory.delay(1); one.get(propagate=False, timeout=50)"
        assert bench.ask("one.state", sent) == "FAILURE"
        assert bench.ask("add.delay(1, 2).get(timeout=50)") == 3
        bench.ended()
        assert (bench.begun(), worker.poll()) == ([1], None)
    finally:
        bench.close()


@pytest.fixture
def cancelling(server, proxy, tmp_path):
    """A bench whose workers cancel what runs when they lose their connection, which leads through the proxy."""
    bench = Bench(server.url, tmp_path)
    bench.environ["TEST_CANCEL"] = "1"
    bench.through = server.url.replace(f":{server.port}", f":{proxy.port}")
    yield bench
    bench.close()


@pytest.mark.parametrize("pool", ["prefork", "gevent"])
def test_what_a_worker_cancels_when_its_connection_breaks_runs_again(cancelling, proxy, pool):
    cancelling.worker(pool, 2, 2, url=cancelling.through)
    cancelling.send("mark.delay(1, 3); mark.delay(2, 3)")
    until(lambda: cancelling.begun() == [1, 2], 60)
    cut_at = time.monotonic()
    proxy.cut_all()
    until(lambda: cancelling.begun() == [1, 1, 2, 2], what="the second run")
    assert time.monotonic() - cut_at < 10
    until(lambda: cancelling.done() == [1, 2] and cancelling.standing() == 0)
    assert cancelling.dead() == []


def test_threads_go_on_when_their_connection_breaks(cancelling, proxy):
    cancelling.worker("threads", 2, url=cancelling.through)
    cancelling.send("mark.delay(1, 3)")
    until(lambda: cancelling.begun() == [1], 60)
    proxy.cut_all()
    until(lambda: cancelling.done() == [1] and cancelling.standing() == 0)
    assert cancelling.begun() == [1]


def test_a_cold_shutdown_hands_back_what_ran(server, tmp_path):
    bench = DropIn(server.url, tmp_path)
    try:
        worker = bench.worker("prefork", 2)
        bench.send("mark.delay(1, hold='it')")
        until(lambda: bench.begun() == [1], 60)
        worker.send_signal(signal.SIGQUIT)
        worker.wait(30)
        assert bench.client.zcard(f"{bench.prefix}gm1:back:q") == 1
        bench.go("it")
        bench.worker("threads", 2)
        bench.ended()
        assert (bench.begun(), bench.done()) == ([1, 1], [1])
    finally:
        bench.close()
