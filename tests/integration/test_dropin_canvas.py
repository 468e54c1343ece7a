"""Drop-in: what Celery's tasks can be put together to runs on the transport as it is."""

import os
import signal

import pytest

from tests.conftest import until
from tests.support.dropin_bench import DropIn

BENCH = DropIn


@pytest.fixture(scope="module")
def mill(server, tmp_path_factory):
    """A bench with one worker, for the tests that only need results; Celery's mingling and gossip included."""
    bench = DropIn(server.url, tmp_path_factory.mktemp("dropin"))
    bench.worker("prefork", 2, 4)
    bench.ready()
    yield bench
    bench.close()


CANVAS = {
    "a result": ("add.delay(1, 2)", 3),
    "a chain": ("(add.s(1, 2) | add.s(3) | add.s(4)).delay()", 10),
    "a group": ("group(add.s(n, n) for n in range(50)).delay()", [n + n for n in range(50)]),
    "a chord": ("chord([add.s(n, n) for n in range(50)])(total.s())", 2450),
    "a chord with one message in its head": ("chord([add.s(1, 1)])(total.s())", 2),
    "a chord in a chain in a group": (
        "group((add.s(1, 1) | group(add.s(n) for n in range(5)) | total.s() | add.s(1)) for _ in range(3)).delay()",
        [21, 21, 21],
    ),
    "chunks": ("add.chunks(zip(range(10), range(10)), 4).apply_async()", [[0, 2, 4, 6], [8, 10, 12, 14], [16, 18]]),
    "starmap": ("add.starmap([(1, 2), (3, 4)]).delay()", [3, 7]),
    "a delayed chain": ("(add.s(1, 2) | add.s(3).set(countdown=0.5)).apply_async(countdown=0.5)", 6),
    "a retry": ("twice.delay(1, 0.3)", 1),
}


@pytest.mark.parametrize("name", CANVAS)
def test_what_is_put_together_comes_to_its_result(mill, name):
    sent, expected = CANVAS[name]
    assert mill.ask("sent.get(timeout=50)", f"from celery import chord, group\nsent = {sent}") == expected
    mill.ended()


def test_a_link_is_called_with_the_result_and_an_error_link_with_the_failure(mill):
    mill.send("add.apply_async((1, 2), link=note.s(), link_error=note.si('never'))")
    mill.send("fail.apply_async((1,), link=note.si('never'), link_error=note.si('failed'))")
    until(lambda: sorted(mill.said("notes")) == ["3", "failed"])
    mill.ended()


def test_a_failure_is_raised_where_the_result_is_read(mill):
    code = "import pytest\nwith pytest.raises(ValueError, match='as asked'): fail.delay().get(timeout=50)"
    mill.send(code)
    sent = "sent = (fail.s() | add.s(1)).delay()\nsent.parent.get(propagate=False, timeout=50)"
    assert mill.ask("sent.parent.state", sent) == "FAILURE"
    mill.ended()


def test_a_failed_header_fails_the_chord(mill):
    sent = "sent = chord([add.s(1, 1), fail.s()])(total.s())"
    error = mill.ask("type(sent.get(propagate=False, timeout=50)).__name__", f"from celery import chord\n{sent}")
    assert error == "ChordError"
    mill.ended()


def test_a_message_that_has_expired_is_not_run(mill, bench):
    # The producer ends before the worker starts: 10 ms are over then, however fast the machine is.
    bench.send(
        "mark.apply_async((1,), expires=0.01); mark.apply_async((2,), countdown=0.5, expires=0.2); mark.delay(3)"
    )
    bench.worker()
    until(lambda: bench.done() == [3], 60)
    bench.ended()
    assert bench.begun() == [3]


def test_nothing_is_left_behind(mill):
    """Only the transport's and Celery's own lasting keys stay when all is done and answered."""
    mill.inspect("ping()")
    until(lambda: not list(mill.client.scan_iter(f"{mill.prefix}gm1:*reply*")), what="the end of reply queues")
    mill.ended()


@pytest.mark.slow
def test_a_retry_outlives_the_worker_that_asked_for_it(bench):
    bench.send("twice.delay(1, 4); mark.delay(2)")
    first = bench.worker("prefork", 2)
    waits = f"{bench.prefix}gm1:later:q"
    until(lambda: bench.client.zcard(waits) == 1 and bench.done() == [2] and bench.standing() == 0, 60)
    os.killpg(first.pid, signal.SIGKILL)
    bench.worker("threads", 2)
    until(lambda: bench.done() == [1, 2], 60)
    bench.ended()
    assert bench.begun() == [1, 1, 2]


@pytest.mark.slow
def test_a_task_that_opts_out_is_acknowledged_before_it_runs(bench):
    bench.send("early.delay(1, 'one')")
    worker = bench.worker("prefork", 1)
    until(lambda: bench.begun() == [1] and bench.standing() == 0, 60, "the early acknowledgement")
    bench.go("one")
    until(lambda: bench.done() == [1], 60)
    bench.send("early.delay(2, 'never')")
    until(lambda: bench.begun() == [1, 2] and bench.standing() == 0, 60)
    os.killpg(worker.pid, signal.SIGKILL)
    bench.worker("prefork", 1)
    bench.send("mark.delay(3)")
    until(lambda: bench.done() == [1, 3], 60)
    assert bench.begun() == [1, 2, 3]
    (warning,) = [line for line in bench.log().splitlines() if "acks_late=False" in line]
    assert warning.endswith(f"{bench.app}.early")
