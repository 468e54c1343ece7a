"""The number of slots that an io worker gives itself: in computed time, and with real threads."""

import sys
import threading
import time
from dataclasses import dataclass, field

import pytest

from gristmill.worker.pool import slot_tuner
from gristmill.worker.pool.slot_tuner import HOLD_MOST, HOLD_SECONDS, LEAST, MOST, SlotTuner, SlotUse


@dataclass
class Worker:
    """A worker whose items wait for `waits` seconds and compute for `computes`; there are `most` answers a second."""

    waits: float
    computes: float = 0.0001
    most: float = 1e9
    room: int = MOST
    slots: int = 64
    is_full: bool = True
    machine: float = 50.0
    #: Cores that others leave for its threads, which compute one at a time.
    core: float = 1.0
    at: float = 0.0
    items: float = 0.0
    cpu: float = 0.0
    sizes: list[int] = field(default_factory=list)

    @property
    def rate(self):
        return min(self.slots / (self.waits + self.computes), self.core / self.computes, self.most)

    def run(self, tuner, seconds):
        for _ in range(seconds):
            self.at += 1
            self.items += self.rate
            self.cpu += self.rate * self.computes
            busy = self.slots if self.is_full else self.slots // 2
            slots = tuner.look(SlotUse(self.at, self.slots, busy, int(self.items), self.cpu, self.machine, self.room))
            if slots != self.slots:
                self.sizes.append(slots)
                self.slots = slots
        return self.slots


def test_items_that_wait_get_slots_until_a_bound():
    assert Worker(0.2).run(SlotTuner(), 300) == MOST
    assert Worker(0.2, room=200).run(SlotTuner(), 300) == 200


def test_slots_grow_until_throughput_does_not():
    worker = Worker(0.2, most=600)
    worker.run(SlotTuner(), 3600)
    # 120 slots are as many as are of use.
    assert 100 <= worker.slots <= 220
    assert max(worker.sizes) <= 220


def test_slots_fill_a_core_and_no_more():
    worker = Worker(0.2, 0.001)
    slots = worker.run(SlotTuner(), 600)
    assert 0.7 <= worker.rate * worker.computes <= 0.95
    assert 140 <= slots <= 191


def test_items_that_compute_lose_slots_and_nothing_else():
    worker = Worker(0.0, 0.01)
    before = worker.rate
    assert worker.run(SlotTuner(), 600) == LEAST
    assert worker.rate == before
    mixed = Worker(0.1, 0.01)
    mixed.run(SlotTuner(), 600)
    assert mixed.slots < 20
    assert mixed.rate >= 0.9 / mixed.computes


def test_on_a_busy_machine_those_that_compute_lose_slots_too():
    worker = Worker(0.0, 0.01, machine=100.0, core=0.5)
    assert worker.run(SlotTuner(), 600) == LEAST
    # Those that wait lose none.
    assert Worker(0.2, 0.00005, machine=100.0).run(SlotTuner(), 300) == MOST


def test_threads_that_compute_side_by_side_keep_their_slots():
    """C code may let go of the interpreter: then fewer threads would do less, and they stay."""
    worker = Worker(0.0, 0.5, core=64.0, slots=16)
    worker.run(SlotTuner(), 3600)
    assert 12 <= worker.slots <= 16
    assert len(worker.sizes) < 20


@pytest.mark.parametrize("seconds", [0.02, 5.0, 90.0])
def test_run_times_of_all_lengths(seconds):
    assert Worker(seconds, seconds / 1000).run(SlotTuner(), 3600) > 300


def test_without_items_that_fill_them_nothing_changes():
    worker = Worker(0.2, is_full=False)
    assert worker.run(SlotTuner(), 300) == 64
    assert worker.sizes == []


def test_a_trial_that_failed_is_not_repeated_at_once():
    worker = Worker(0.2, most=320)
    worker.run(SlotTuner(), int(HOLD_SECONDS))
    assert worker.sizes == [96, 64]
    worker.run(SlotTuner(), int(4 * HOLD_MOST))
    assert len(worker.sizes) <= 20


def test_memory_that_is_gone_takes_slots_at_once():
    tuner, worker = SlotTuner(), Worker(0.2)
    worker.run(tuner, 60)
    worker.room = 50
    assert worker.run(tuner, 1) == 50
    assert "memory" in tuner.reason
    worker.room = 1
    assert worker.run(tuner, 5) == LEAST


class Threads:
    """Real threads that run items, of which `slots` at a time."""

    def __init__(self, item, slots):
        self._item, self._free = item, threading.Semaphore(slots)
        self.slots, self.items, self._ended = slots, 0, threading.Event()
        self._threads = []
        self._start(slots)

    def _start(self, number):
        for _ in range(number):
            thread = threading.Thread(target=self._work, args=(len(self._threads),))
            self._threads.append(thread)
            thread.start()

    def _work(self, number):
        while not self._ended.is_set():
            if number < self.slots:
                self._item()
                self.items += 1
            else:
                time.sleep(0.05)

    def tune(self, tuner, is_done, seconds, clock=time.monotonic):
        deadline = time.monotonic() + seconds
        while not is_done(self.slots) and time.monotonic() < deadline:
            time.sleep(0.1)
            busy, cpu = self.slots, time.process_time()
            now = SlotUse(clock(), busy, busy, self.items, cpu, 50.0, 200)
            self.slots = tuner.look(now)
            self._start(self.slots - len(self._threads))
        return self.slots

    def __enter__(self):
        return self

    def __exit__(self, *error):
        self._ended.set()
        for thread in self._threads:
            thread.join()


def test_real_threads_that_wait_for_200_ms_become_more():
    with Threads(lambda: time.sleep(0.2), 8) as threads:
        assert threads.tune(SlotTuner(stretch=1.0), lambda slots: slots >= 60, 60) >= 60


def test_real_threads_that_share_what_they_ask_stay():
    """Twelve answers at once: more than twelve threads wait for each other."""
    answers = threading.Semaphore(12)

    def item():
        with answers:
            time.sleep(0.1)

    with Threads(item, 12) as threads:
        assert threads.tune(SlotTuner(stretch=1.0), lambda slots: slots > 30, 6) <= 30


@pytest.fixture
def _quick_turns():
    """The thread that tunes waits for its turn among all the others: with Python's 5 ms each, for most of the test."""
    before = sys.getswitchinterval()
    sys.setswitchinterval(before / 10)
    yield
    sys.setswitchinterval(before)


@pytest.mark.usefixtures("_quick_turns")
def test_real_threads_that_compute_become_fewer(monkeypatch):
    def item():
        end = time.thread_time() + 0.001
        while time.thread_time() < end:
            pass

    # What others compute on this machine takes no time on this clock. A stretch that was too short to tell that fewer
    # threads do as much is followed by another one soon.
    monkeypatch.setattr(slot_tuner, "HOLD_SECONDS", 0.2)
    with Threads(item, 32) as threads:
        slots = threads.tune(SlotTuner(stretch=0.2), lambda slots: slots <= 16, 60, time.process_time)
    assert slots <= 16
