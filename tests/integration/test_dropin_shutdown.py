"""Drop-in: however a worker is shut down, blocked or taken by surprise, a count at its end finds all that was sent."""

import signal
import time

import pytest

from tests.conftest import until
from tests.support.dropin_bench import DropIn

pytestmark = pytest.mark.slow
BENCH = DropIn

LEASE_SECONDS = 2
SENT = 60
POOLS = [("prefork", 4), ("threads", 10)]


def counted(bench):
    """Have a second worker do the rest; nothing is lost. Answers how many ran more than once."""
    bench.worker("prefork", 2)
    until(lambda: set(bench.done()) == set(range(SENT)), 90, "the end of all that was sent")
    bench.ended()
    assert bench.dead() == []
    return len(bench.begun()) - SENT


def under_load(bench, pool, multiplier, *options):
    bench.send(f"for n in range({SENT}): mark.delay(n, 0.1)")
    worker = bench.worker(pool, 4, multiplier, *options)
    until(lambda: len(bench.done()) >= 8, 60)
    return worker


@pytest.mark.parametrize(("pool", "multiplier"), POOLS)
def test_a_warm_shutdown_runs_nothing_twice(bench, pool, multiplier):
    worker = under_load(bench, pool, multiplier)
    worker.send_signal(signal.SIGTERM)
    assert worker.wait(60) == 0
    # All that it did not get to is back in place, at once.
    assert bench.client.zcard(f"{bench.prefix}gm1:back:q") == bench.standing() - bench.new()
    assert counted(bench) == 0


@pytest.mark.parametrize(("pool", "multiplier"), POOLS)
def test_a_cold_shutdown_hands_back_what_ran(bench, pool, multiplier):
    worker = under_load(bench, pool, multiplier)
    worker.send_signal(signal.SIGQUIT)
    worker.wait(60)
    assert bench.client.zcard(f"{bench.prefix}gm1:back:q") == bench.standing() - bench.new()
    assert counted(bench) <= 4


@pytest.mark.parametrize("pool", ["threads", "solo"])
def test_a_cold_shutdown_waits_for_what_a_pool_cannot_end_and_fails_nothing(bench, pool):
    bench.send("for n in range(1, 5): mark.delay(n, hold='one')")
    worker = bench.worker(pool, 1, 4)
    until(lambda: bench.begun() == [1] and bench.new() == 0, 60, "the prefetching")
    worker.send_signal(signal.SIGQUIT)
    until(lambda: "Cold shutdown" in bench.log())
    bench.go("one")
    worker.wait(60)
    assert (bench.begun(), bench.done()) == ([1], [1])
    assert bench.client.zcard(f"{bench.prefix}gm1:back:q") == bench.standing() == 3
    assert "Traceback" not in bench.log()


def test_a_soft_shutdown_lets_what_is_quick_end_and_hands_back_the_rest(server, tmp_path):
    bench = DropIn(server.url, tmp_path, {"worker_soft_shutdown_timeout": 3})
    try:
        bench.send("mark.delay(1, 1); mark.delay(2, hold='two')\nfor n in range(3, 9): mark.delay(n)")
        worker = bench.worker("prefork", 2, 4)
        until(lambda: bench.begun() == [1, 2], 60)
        worker.send_signal(signal.SIGQUIT)
        worker.wait(60)
        assert 1 in bench.done()
        assert 2 not in bench.done()
        assert bench.client.zcard(f"{bench.prefix}gm1:back:q") == bench.standing() - bench.new()
        bench.go("two")
        bench.worker("prefork", 2)
        until(lambda: bench.done() == list(range(1, 9)))
        bench.ended()
        assert bench.begun() == [1, 2, 2, *range(3, 9)]
    finally:
        bench.close()


def test_what_a_blocked_worker_has_prefetched_is_not_handed_out_again(bench):
    bench.send("mark.delay(0, hold='one')\nfor n in range(1, 10): mark.delay(n)")
    bench.worker("prefork", 1, 10)
    until(lambda: bench.begun() == [0] and bench.new() == 0, 60, "the prefetching")
    bench.worker("prefork", 1, 10)
    bench.ready(1)
    code = f"app.control.broadcast('block', arguments={{'seconds': {3 * LEASE_SECONDS}}}, destination=['w0@t'])"
    bench.send(code)
    began = time.monotonic()
    # Its loop answers again; all the while another worker looked for what the dead had held.
    until(lambda: bench.ask("app.control.ping(destination=['w0@t'], timeout=2)"), 60)
    assert time.monotonic() - began > LEASE_SECONDS
    assert bench.begun() == [0]
    bench.go("one")
    until(lambda: bench.done() == list(range(10)), 60)
    bench.ended()
    assert bench.begun() == list(range(10))


def test_a_solo_worker_keeps_what_it_has_prefetched_while_it_runs_a_task(bench):
    bench.send(f"mark.delay(0, {3 * LEASE_SECONDS})\nfor n in range(1, 5): mark.delay(n)")
    bench.worker("solo", 1, 5)
    until(lambda: bench.begun() == [0], 60)
    bench.worker("prefork", 2)
    until(lambda: len(bench.done()) == 5, 60)
    bench.ended()
    assert bench.begun() == list(range(5))


def test_a_process_that_is_killed_hands_its_message_back_at_once(bench):
    bench.send("mark.delay(1, hold='one')")
    bench.worker("prefork", 1)
    until(lambda: bench.begun() == [1], 60)
    bench.send("""
import os, signal
(pid,) = next(iter(app.control.inspect(timeout=30, limit=1).stats().values()))["pool"]["processes"]
os.kill(pid, signal.SIGKILL)
""")
    until(lambda: bench.begun() == [1, 1], LEASE_SECONDS + 20)
    bench.go("one")
    bench.ended()
    assert bench.done() == [1]


def test_a_worker_that_kills_itself_loses_nothing(bench):
    bench.send(f"for n in range({SENT}): (kill_worker if n == 10 else mark).delay(n)")
    worker = bench.worker("prefork", 2, 8)
    worker.wait(60)
    assert counted(bench) <= 16
