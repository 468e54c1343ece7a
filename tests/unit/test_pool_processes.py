"""The pool's processes: which of them the event loop watches, and how they and their worker end."""

import os
import signal
import threading
import time
from collections import deque
from concurrent.futures import ThreadPoolExecutor
from types import SimpleNamespace

import billiard.pool
import pytest
from kombu.asynchronous import Hub

from gristmill.worker import drain
from gristmill.worker.celery_internals import HookedPool, unreported_jobs_kept
from gristmill.worker.pool.billiard_internals import PromptEnd
from gristmill.worker.slot import chunk_task

SLEPT = 9


@pytest.fixture
def pool():
    return HookedPool.__new__(HookedPool)


def _watched(pool, process):
    descriptors = []
    hub = SimpleNamespace(add_reader=lambda descriptor, *_: descriptors.append(descriptor))
    pool._track_child_process(process, hub)
    return descriptors


@pytest.mark.skipif(not hasattr(os, "pidfd_open"), reason="pidfds are Linux's")
def test_a_process_is_watched_by_its_pidfd(pool):
    process = SimpleNamespace(pid=os.getpid())
    assert _watched(pool, process) == [process._sentinel_poll]
    os.close(process._sentinel_poll)


def test_a_process_whose_death_was_seen_just_before_the_connection_broke_does_not_end_its_worker(pool):
    # What Celery leaves of it until the pool has replaced it.
    assert _watched(pool, SimpleNamespace(pid=os.getpid(), _sentinel_poll=None)) == []


def _end(monkeypatch, *, is_pool_closed):
    """The exit code of a process that ends, and what its `on_exit` was called with."""
    monkeypatch.setattr(billiard.pool.time, "sleep", lambda _: os._exit(SLEPT))
    reader, writer = os.pipe()
    process = PromptEnd.__new__(PromptEnd)
    process.is_pool_closed = is_pool_closed
    process.outq = SimpleNamespace(put=lambda _: None)
    process.on_exit = lambda *call: os.write(writer, repr(call).encode())
    child = os.fork()
    if not child:
        process._do_exit(4711, None)
    os.close(writer)
    code = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
    with os.fdopen(reader) as file:
        return code, file.read()


def test_a_process_of_a_closed_pool_ends_at_once(monkeypatch):
    assert _end(monkeypatch, is_pool_closed=True) == (0, "(4711, 0)")


def test_the_pool_reads_of_the_end_of_a_process_while_it_is_open(monkeypatch):
    assert _end(monkeypatch, is_pool_closed=False) == (SLEPT, "(4711, 0)")


def test_slots_that_find_their_worker_broken_at_once_have_it_drain_once(monkeypatch):
    """A second signal would end what the other slots run."""
    monkeypatch.setattr(chunk_task, "_drains", threading.Lock())
    number, before = [], signal.signal(signal.SIGTERM, lambda *_: number.append(1))
    try:
        with ThreadPoolExecutor(4) as pool:
            list(pool.map(chunk_task._drain, ["a", "b", "c", "d"]))
    finally:
        signal.signal(signal.SIGTERM, before)
    assert len(number) == 1


def test_a_signal_that_drains_the_worker_wakes_its_event_loop(monkeypatch):
    monkeypatch.setattr(drain, "end_when_drained", lambda _: None)
    monkeypatch.setattr(threading, "Timer", lambda *_: SimpleNamespace(start=lambda: None))
    # The signal may come within a start, or within a call that holds a lock of the loop's.
    monkeypatch.setattr(threading.Thread, "start", lambda _: pytest.fail("a thread in a signal handler"))
    hub = Hub()
    step = drain.Drain(SimpleNamespace())
    step.worker, step.draining = SimpleNamespace(hub=hub), False

    def handle(*signal_and_frame):
        with hub._ready_lock:
            step._drain(*signal_and_frame)

    before = signal.signal(signal.SIGALRM, handle)
    hub.call_later(10, lambda: None)
    reader, writer = os.pipe()
    hub.add_reader(reader, os.read, reader, 1)
    os.write(writer, b"!")
    # The loop has begun; its next turn waits for as long as the timers allow.
    hub.run_once()
    began = time.monotonic()
    signal.setitimer(signal.ITIMER_REAL, 0.1)
    while not step.draining:
        hub.run_once()
    signal.signal(signal.SIGALRM, before)
    assert time.monotonic() - began < 5
    hub.close()
    os.close(reader)
    os.close(writer)


class Dying:
    """A pool process, as billiard sees it."""

    name, dead = "dying", False

    def __init__(self, pid, index):
        self.pid, self.index, self.exitcode, self._popen = pid, index, None, self

    def poll(self):
        return self.exitcode

    def join(self):
        pass

    def _is_alive(self):
        return self.exitcode is None


class TwoDeaths(HookedPool):
    """Two processes, of which one dies while the last reports of the other are read."""

    def __init__(self):
        self._pool, self._cache, self.put_back = [Dying(1, 0), Dying(2, 1)], {}, []
        self._poolctrl, self._on_ready_counters = dict.fromkeys((1, 2)), dict.fromkeys((1, 2))
        self._result_handler = SimpleNamespace(on_worker_exit=lambda _: None)
        self._put_back, self.on_process_down, self.reports = self.put_back.append, None, {}
        self._active_writers, self._queues = set(), {}

    def process_flush_queues(self, process):
        for each in self._pool:
            each.exitcode = -9
        for number in self.reports.pop(process.pid, ()):
            del self._cache[number]

    def _find_worker_queues(self, process):
        raise ValueError


def job_of(process, number):
    """A job that was written to a process, and of which that has reported nothing."""
    return SimpleNamespace(
        _job=number,
        _write_to=process,
        _scheduled_for=process,
        _accepted=False,
        _time_accepted=None,
        _worker_lost=None,
        ready=lambda: False,
        worker_pids=list,
    )


def test_the_last_reports_of_a_process_are_read_before_its_messages_go_to_another():
    """Billiard asks of each message whether its process lives, also of one that has died since it was looked at."""
    pool = TwoDeaths()
    for number, process in enumerate([*pool._pool, *pool._pool]):
        pool._cache[number] = job_of(process, number)
    # Of the two messages of each process, one has ended.
    pool.reports = {1: [0], 2: [1]}
    left = [pool._cache[2], pool._cache[3]]
    pool._pool[0].exitcode = -9
    while pool._pool:
        pool._join_exited_workers()
    assert {left.index(job) for job in pool.put_back} == {0, 1}


def test_what_a_process_had_not_begun_that_dies_while_the_connection_is_broken_is_given_again():
    """Celery empties what waits for a process then; of the other one, it sees the death next."""
    pool = TwoDeaths()
    first, second = pool._pool
    dead, later, ended = (job_of(process, number) for number, process in enumerate((first, second, first)))
    pool._cache = {job._job: job for job in (dead, later, ended)}
    pool.reports, pool.outbound_buffer = {1: [2]}, deque()
    with unreported_jobs_kept(SimpleNamespace(_pool=pool)):
        first.exitcode = -9
        pool._join_exited_workers()
        pool.outbound_buffer.clear()
    assert list(pool.outbound_buffer) == [dead]
    assert (dead._write_to, later._write_to) == (None, second)
    assert (dead._accepted, later._accepted) == (False, False)
