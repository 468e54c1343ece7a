"""What autoscale decides: in time and no sooner, without flapping, to zero when idle."""

from dataclasses import asdict, replace
from statistics import fmean
from types import SimpleNamespace

import pytest

from gristmill.batches.info import State
from gristmill.fleet.autoscaling import EARLY, LOW_SECONDS, Aim, Bounds, Past, decide, time_for
from gristmill.fleet.queue_now import QueueNow
from gristmill.fleet.scaling import Limit, Plan, slots_for
from tests.support.scaled_fleet import CONTAINERS, LOOK_SECONDS, POOLS, SLOW_WORKERS, ScaledFleet

TARGET, IDLE, START_SECONDS = 600.0, 60.0, 20.0
BUSY = QueueNow("cpu", left=1000, seconds=1.0, work=1000.0, rate=4.0, slots=4, busy=4, used=1.0)


def planned(queue, target, ordered):
    slots = slots_for(queue, target, max(0.0, START_SECONDS - ordered)) if queue.left else 0
    return Plan("cpu", Limit.SLOTS, slots, None, "why")


def next_of(queue, past, at, bounds=None, seconds=TARGET):
    past = replace(past, coming=past.coming and queue.slots < past.slots)
    return decide(queue, planned, past, at, bounds or Bounds(0, 64), seconds, Aim(TARGET, IDLE))


@pytest.mark.parametrize("seed", [*range(8), *(pytest.param(seed, marks=pytest.mark.slow) for seed in range(8, 20))])
@pytest.mark.parametrize(("target", "ground"), [(60.0, POOLS), (600.0, CONTAINERS)], ids=["pools", "containers"])
def test_mixed_batches_end_in_time_on_busy_slots_without_flapping(seed, target, ground):
    scaled = ScaledFleet(seed, target, 0.1 * target, ground)
    while scaled.batch.left:
        scaled.look()
    assert scaled.seconds == pytest.approx(target, rel=0.1), scaled.log
    assert scaled.past.turns <= 2, scaled.log
    assert scaled.busy / scaled.slots >= 0.85, scaled.log
    ended_at = scaled.seconds
    while scaled.past.slots > ground.least:
        scaled.look()
    assert 0.1 * target <= scaled.seconds - ended_at <= 0.1 * target + 3 * LOOK_SECONDS


def test_it_goes_by_how_long_new_slots_took_to_come_and_not_by_what_workers_say_of_their_start():
    off = []
    for seed in range(12):
        scaled = ScaledFleet(seed, 60.0, 6.0, SLOW_WORKERS)
        while scaled.batch.left:
            scaled.look()
        assert scaled.past.start <= SLOW_WORKERS.start + 2 * LOOK_SECONDS
        off.append(abs(scaled.seconds / 60.0 - 1))
    assert fmean(off) < 0.05, off


def test_a_worker_that_starts_anew_tells_nothing_of_how_long_new_slots_take():
    scaled = ScaledFleet(1, 60.0, 6.0, SLOW_WORKERS)

    def look_until(reached):
        scaled.look()
        while not reached():
            assert scaled.batch.left
            scaled.look()

    look_until(lambda: scaled.past.start is not None)
    start, slots, changed_at = scaled.past.start, scaled.past.slots, scaled.past.changed_at
    look_until(lambda: scaled.fleet.now > changed_at + 2 * start)
    scaled.fleet.workers.pop()
    look_until(lambda: scaled.present < slots)
    look_until(lambda: scaled.present == slots)
    assert (scaled.past.changed_at, scaled.past.start) == (changed_at, start)


def test_a_queue_without_slots_gets_some_at_once():
    waiting = replace(BUSY, slots=0, busy=0, used=0.0, rate=0.0)
    past = next_of(waiting, Past(), 5.0)
    assert (past.slots, past.changed_at, past.direction) == (2, 5.0, 1)
    unmeasured = replace(waiting, work=0.0, seconds=0.0)
    assert next_of(unmeasured, Past(), 5.0).slots == 1


def test_messages_without_a_batch_are_work_too():
    running = QueueNow("cpu", left=0, busy=1, slots=2)
    assert next_of(running, Past(slots=2, idle_since=0.0), 1000.0).slots == 2


def test_nothing_shrinks_while_the_last_change_takes_hold():
    past, early = Past(slots=40, changed_at=100.0, low_since=80.0), replace(BUSY, work=600.0, slots=40)
    assert next_of(early, past, 102.0).slots == 40
    assert next_of(replace(early, steady=3.0), past, 200.0).slots == 40
    assert next_of(early, past, 200.0).slots < 40


def test_slots_for_which_there_is_no_item_go_at_the_end_of_a_batch():
    last, past = replace(BUSY, left=3, work=30.0, slots=8, busy=3), Past(slots=8, direction=1, turns=1)
    past = next_of(last, past, 1000.0, seconds=1.0)
    assert past.slots == 8
    # Another one ends meanwhile; a message without a batch counts as an item.
    past = next_of(replace(last, left=2), past, 1000.0 + IDLE / 2, seconds=1.0)
    assert next_of(replace(last, left=0, busy=4), past, 1000.0 + IDLE, seconds=1.0).slots == 4
    past = next_of(replace(last, left=2), past, 1000.0 + IDLE, seconds=1.0)
    assert (past.slots, past.direction, past.turns) == (3, 0, 1)


def test_it_grows_at_once_by_what_is_needed_at_least():
    past = Past(slots=2, changed_at=100.0)
    long = replace(BUSY, work=10_000.0, slots=2, steady=1.0, ended=2, used=0.2)
    sure, unsure = (next_of(replace(long, doubt=doubt), past, 102.0).slots for doubt in (0.0, 0.5))
    assert 2 < unsure < sure == slots_for(replace(long, used=1.0), TARGET, START_SECONDS)


def test_slots_that_are_on_their_way_count_as_nearly_there():
    long = replace(BUSY, work=9_000.0, slots=2, steady=1.0)
    first = next_of(long, Past(slots=2, changed_at=100.0), 102.0)
    # The time that is left gets shorter, and so does the time until they come.
    later = next_of(long, first, 118.0, seconds=TARGET - 16.0)
    assert later.slots == first.slots
    assert next_of(long, replace(first, changed_at=118.0), 118.0, seconds=TARGET - 100.0).slots > first.slots


def test_while_a_limit_holds_items_back_nothing_grows_before_that_is_measured():
    held = replace(BUSY, work=10_000.0, slots=2, steady=1.0, over_limit=900, hold="-j 1")
    assert next_of(held, Past(slots=2), 102.0).slots == 2
    assert next_of(replace(held, steady=60.0), Past(slots=2), 102.0).slots > 2


def test_it_shrinks_to_the_most_that_was_wanted_for_a_while():
    past, seen = Past(slots=20, changed_at=0.0), []
    for step, work in enumerate([3000.0, 6000.0, 3000.0, 3000.0, 3000.0, 3000.0]):
        past = next_of(replace(BUSY, work=work, slots=20), past, 100.0 + LOW_SECONDS / 4 * step)
        seen.append(past.slots)
    assert seen[:4] == [20] * 4
    assert seen[-1] == slots_for(replace(BUSY, work=6000.0, slots=20), (1 - EARLY) * TARGET, START_SECONDS)
    assert past.direction == -1


def test_a_moment_with_more_work_starts_the_wait_anew():
    past = Past(slots=6)
    low, high = replace(BUSY, work=600.0, slots=6), replace(BUSY, work=3600.0, slots=6)
    for at, queue in ((100.0, low), (110.0, high), (112.0, low), (100.0 + LOW_SECONDS + 5, low)):
        past = next_of(queue, past, at)
        assert past.slots == 6


@pytest.mark.parametrize(
    ("bounds", "wanted", "slots"),
    [
        (Bounds(0, 8), 5, 5),
        (Bounds(0, 8), 50, 8),
        (Bounds(2, 8), 0, 2),
        (Bounds(0, 8, 4), 5, 8),
        (Bounds(0, 10, 4), 50, 8),
        (Bounds(1, 8, 4), 0, 4),
        (Bounds(0, 2, 64), 1, 64),
        (Bounds(0, 0, 64), 1, 0),
    ],
)
def test_bounds(bounds, wanted, slots):
    assert bounds.fit(wanted) == slots


@pytest.mark.parametrize("queue", [BUSY, QueueNow("cpu", slots=4)], ids=["busy", "idle"])
def test_bounds_hold_at_once(queue):
    assert next_of(queue, Past(slots=8), 1.0, Bounds(0, 4)).slots == 4
    assert next_of(queue, Past(slots=3), 1.0, Bounds(4, 4)).slots == 4


def test_a_busy_queue_that_is_brought_within_its_bounds_is_idle_no_more():
    assert next_of(BUSY, Past(slots=8, idle_since=0.5), 1.0, Bounds(0, 4)).idle_since is None


def batch(left, created, state=State.RUNNING, queue="cpu"):
    return SimpleNamespace(queue=queue, left=left, created=created, state=state)


@pytest.mark.parametrize(
    ("batches", "oldest", "seconds"),
    [
        ([], 0.0, 600.0),
        ([batch(100, 1000.0)], 0.0, 600.0),
        ([batch(100, 700.0)], 300.0, 300.0),
        ([batch(100, 0.0)], 1000.0, 120.0),
        # An open batch of yesterday, with an item of a minute ago.
        ([batch(100, 0.0, State.OPEN)], 60.0, 540.0),
        # The first half has 300 s left, so all has 600.
        ([batch(50, 700.0), batch(50, 1000.0)], 300.0, 600.0),
        ([batch(50, 500.0), batch(50, 1000.0)], 500.0, 240.0),
        ([batch(100, 500.0, State.PAUSED), batch(100, 500.0, queue="io")], 500.0, 600.0),
    ],
)
def test_the_time_for_all_items(batches, oldest, seconds):
    queue = QueueNow("cpu", left=100, oldest=oldest)
    assert time_for(queue, batches, 1000.0, TARGET) == pytest.approx(seconds)


def test_the_past_is_read_as_it_was_written():
    past = Past(slots=3, changed_at=1.5, direction=-1, turns=2, idle_since=7.0, start=4.0, reason="why")
    assert Past.of({**asdict(past), "of another version": 1}) == past
