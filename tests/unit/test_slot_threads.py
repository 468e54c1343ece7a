"""The threads of a pool: as many as calls need at once, one call after another, none after the pool has stopped."""

import gc
import threading
import weakref
from functools import partial

import pytest

from gristmill.worker.pool.threads import SlotThreads, ThreadTaskPool
from tests.conftest import until


def apply(call):
    """What the threads do here with the one argument of a job."""
    call()


class Gate:
    """A call that says it runs, and ends when the gate opens."""

    def __init__(self):
        self.running, self._open = 0, threading.Event()

    def __call__(self):
        self.running += 1
        assert self._open.wait(10)

    def open(self):
        self._open.set()


@pytest.fixture
def gate():
    gate = Gate()
    yield gate
    gate.open()


@pytest.fixture
def threads():
    threads = SlotThreads(apply, 3)
    yield threads
    threads.stop()


def test_a_thread_starts_when_all_others_are_occupied(threads, gate):
    for number in range(1, 6):
        threads.submit(gate)
        assert len(threads._threads) == min(number, 3)
    until(lambda: gate.running == 3)
    gate.open()
    until(lambda: gate.running == 5)


def test_one_thread_does_for_calls_that_follow_one_another(threads):
    for _ in range(20):
        job = threads.submit(lambda: None)
        until(job.ready)
        until(lambda: len(threads._threads) == 1)


def test_a_thread_that_is_busy_since_before_does_not_count_as_idle(threads, gate):
    """Calls at once, calls one by one, then as many long ones as may run: each of these finds a thread."""
    until(threads.submit(lambda: None).ready)
    for _ in range(50):
        jobs = [threads.submit(lambda: None) for _ in range(5)]
        until(lambda jobs=jobs: all(job.ready() for job in jobs))
    for _ in range(3):
        threads.submit(gate)
    until(lambda: gate.running == 3)


def test_more_threads_start_once_more_calls_may_run_at_once(threads, gate):
    for _ in range(5):
        threads.submit(gate)
    threads.most = 5
    threads.submit(gate)
    until(lambda: gate.running == 4)
    threads.submit(gate)
    until(lambda: gate.running == 5)
    assert len(threads._threads) == 5


@pytest.mark.parametrize("error", [ValueError("no"), SystemExit(3), KeyboardInterrupt()])
def test_a_thread_outlives_a_call_that_raises(threads, caplog, error):
    def fail():
        raise error

    threads.most = 1
    failed = threads.submit(fail)
    until(threads.submit(lambda: None).ready)
    assert failed.ready()
    assert [record.exc_info[1] for record in caplog.records] == [error]


def test_a_stop_waits_for_what_runs_and_begins_no_more(gate):
    threads = SlotThreads(apply, 1)
    calls = []
    running, waiting = threads.submit(gate), threads.submit(partial(calls.append, 1))
    until(lambda: gate.running == 1)
    stop = threading.Thread(target=threads.stop)
    stop.start()
    until(lambda: threads.is_over)
    gate.open()
    stop.join(10)
    assert (running.ready(), waiting.ready(), calls) == (True, False, [])
    # A handler of a signal may stop the pool just before a call.
    threads.submit(partial(calls.append, 2))
    threads.stop()
    assert calls == []


def test_the_handler_of_a_signal_waits_for_no_thread(gate):
    """Celery stops the pool there first: the thread may need a lock that the interrupted code has."""
    pool = ThreadTaskPool(1)
    pool.start()
    pool.apply_async(gate, callback=lambda _: None)
    until(lambda: gate.running == 1)
    pool.stop()
    (thread,) = pool.executor._threads
    assert thread.is_alive()
    gate.open()
    pool.close()
    pool.terminate()
    assert not thread.is_alive()


def test_a_thread_that_a_call_starts_is_no_daemon(threads):
    """Python ends daemons with the worker, in the middle of what they do."""
    started = []
    until(threads.submit(lambda: started.append(threading.Thread().daemon)).ready)
    assert started == [False]


def test_nothing_of_a_call_stays(threads):
    class Large:
        def __call__(self):
            pass

    large = Large()
    ended, job = weakref.ref(large), threads.submit(large)
    until(job.ready)
    del large, job
    until(lambda: gc.collect() >= 0 and ended() is None)


def test_the_threads_that_there_are_go_on_where_no_more_can_start(threads, gate, monkeypatch):
    threads.submit(gate)

    def refuse(_):
        raise RuntimeError("can't start new thread")

    monkeypatch.setattr(threading.Thread, "start", refuse)
    job = threads.submit(lambda: None)
    gate.open()
    until(job.ready)


def test_a_call_that_no_thread_can_make_is_refused(gate, monkeypatch):
    def refuse(_):
        raise RuntimeError("can't start new thread")

    threads = SlotThreads(apply, 1)
    with monkeypatch.context() as patch:
        patch.setattr(threading.Thread, "start", refuse)
        with pytest.raises(RuntimeError):
            threads.submit(gate)
    until(threads.submit(lambda: None).ready)
    assert gate.running == 0
    threads.stop()


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ((700, 10, 10), (7_000, 10, 10)),
        ((2_000, 10, 0), (7_000, 10, 0)),
        ((0, 10, 10), (0, 10, 10)),
        ((900, 9, 9),) * 2,
    ],
)
def test_a_pool_looks_for_cycles_less_often_unless_the_app_says_how_often(monkeypatch, before, after):
    set_to = [before]
    monkeypatch.setattr(gc, "get_threshold", lambda: set_to[-1])
    monkeypatch.setattr(gc, "set_threshold", lambda *numbers: set_to.append(numbers))
    pool = ThreadTaskPool(limit=1)
    pool.start()
    pool.stop()
    assert set_to[-1] == after
