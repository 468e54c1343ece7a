"""The meters on a real server: what they count is what the ledger recorded, in every bucket, since ever, by batch."""

import math
from collections import Counter

import pytest

from gristmill.batches.chunk import Outcome
from gristmill.batches.control import Control
from gristmill.batches.histogram import COARSE, FIRST, LAST, bound, bucket
from gristmill.batches.ledger import Ledger
from gristmill.batches.reader import ResultReader
from gristmill.fleet.meters import WIDTHS, Meters, Series, TaskCount
from gristmill.fleet.overview import Observer
from gristmill.fleet.registry import WorkerRegistry
from gristmill.server.scripts import source
from tests.conftest import until
from tests.support.ledger import WORKER, heartbeat, info, outcomes, pop, run_all, submit

FIBONACCI = Series("cpu", "fibonacci")
HOST = {
    "host": "a",
    "pid": 1,
    "pool": "prefork",
    "items": 0,
    "rate": 0.0,
    "cores": 4,
    "cpu": 50.0,
    "used": 100,
    "memory": 200,
    "busy": 1,
}


@pytest.fixture
def meters(ledger):
    return Meters(ledger.client, ledger.settings)


def coarse(seconds):
    """The bucket of a duration in the histogram of a batch, which has five to a decade."""
    return math.ceil(bucket(seconds) / COARSE)


def meter_of_b(meters):
    return meters.batches(["b"]).answer(meters.client)["b"]


def in_all(meters, width):
    """What the buckets of a width counted, all together."""
    total = {}
    now = int(meters.now())
    starts = range(now - now % width - (WIDTHS[width] - 1) * width, now + 1, width)
    for found in meters.read(width, starts):
        for series, count in found.tasks.items():
            total.setdefault(series, TaskCount()).add(count)
    return total


def rolled(meters):
    """Beat until all that was counted up to now is added to the wider buckets."""
    now = int(meters.now())

    def settled():
        meters.heartbeat()
        return all(int(second) > now for second in meters.client.smembers(meters.settings.key("meters:open")))

    until(settled)


def test_every_count_is_what_the_ledger_recorded(ledger, meters):
    submit(ledger, "b", 500)
    for number in range(100):
        chunk = pop(ledger)
        if chunk is None:
            break
        work = ledger.take(chunk)
        bad = [item for item in work.items if item.index % 10 == 3]
        good = [item for item in work.items if item not in bad]
        assert ledger.record(chunk, outcomes(good) + outcomes(bad, "failed"), 0.001 * chunk.count, WORKER) == 0
        # A record that is repeated changes nothing.
        assert ledger.record(chunk, outcomes(good), 0.0, WORKER) == len(good)
        if number % 10 == 0:
            meters.heartbeat()
    state = info(ledger, "b")
    assert (state.succeeded, state.failed, state.left) == (450, 50, 0)
    rolled(meters)
    for found in (meters.totals(), *(in_all(meters, width) for width in WIDTHS)):
        count = found[FIBONACCI]
        assert (count.succeeded, count.failed) == (450, 50)
        assert count.busy == pytest.approx(0.5, abs=0.1)
        assert count.waits.total() == 500
        assert (count.retries, count.duplicates) == (0, 450)
    assert meters.of_workers([WORKER]).answer(meters.client)[WORKER][FIBONACCI].succeeded == 450
    slices = meter_of_b(meters).slices.values()
    assert (sum(good for good, _ in slices), sum(bad for _, bad in slices)) == (450, 50)
    assert meter_of_b(meters).runs.keys() == {coarse(0.1)}


def test_run_times_are_counted_by_item(ledger, meters):
    submit(ledger, "b", 3)
    for seconds in (0.02, 0.02, 5.0):
        chunk = pop(ledger)
        (item,) = ledger.take(chunk).items
        outcome = Outcome(item.index, "succeeded", 1, "1", seconds)
        ledger.record(chunk, [outcome], seconds, WORKER)
    assert meter_of_b(meters).runs == {coarse(0.02): 2, coarse(5.0): 1}
    assert meters.totals()[FIBONACCI].runs == Counter({bucket(0.02): 2, bucket(5.0): 1})


def test_run_times_around_a_second_are_one_bucket_of_the_batch(ledger, meters):
    # Half of bucket -1 is -0 in Lua.
    submit(ledger, "b", 3)
    for seconds in (0.7, 0.9, 0.9):
        chunk = pop(ledger)
        (item,) = ledger.take(chunk).items
        outcome = Outcome(item.index, "succeeded", 1, "1", seconds)
        ledger.record(chunk, [outcome], seconds, WORKER)
    assert meter_of_b(meters).runs == {0: 3}


def test_the_server_and_python_know_the_same_buckets(ledger):
    # The script's own function, called with the bounds and what is beside them.
    shared = source("batches/meters").text.rpartition("\nlocal now = ")[0]
    program = (
        f"{shared}\nlocal found = {{}}\nfor i = 2, #ARGV do found[i - 1] = bucket(tonumber(ARGV[i])) end return found"
    )
    times = [bound(n) * factor for n in range(FIRST, LAST + 1) for factor in (0.8, 0.999, 1.001)] + [0.0, 1e12]
    found = ledger.client.register_script(program)(args=[ledger.settings.prefix, *(1000 * time for time in times)])
    assert found == [bucket(time) for time in times]


@pytest.mark.parametrize("how", ["silent", "left"])
def test_both_counts_of_a_worker_begin_anew_when_it_comes_back(ledger, meters, how):
    """Its items in its beat, and those by task."""

    def counts():
        items, *_ = ledger.heartbeat(WORKER, heartbeat(), [])
        return items, sum(count.done for count in meters.of_workers([WORKER]).answer(meters.client)[WORKER].values())

    ledger.heartbeat(WORKER, heartbeat(), [])
    submit(ledger, "b", 3)
    ledger.record(pop(ledger), [Outcome(0, "succeeded", 1, "1")], 0.1, WORKER)
    assert counts() == (1, 1)
    if how == "left":
        WorkerRegistry(ledger.client, ledger.settings).leave(WORKER)
    else:
        ledger.client.zadd(ledger.settings.key("workers"), {WORKER: 0})
        ledger.heartbeat("cpu@b", heartbeat(), [])
    assert counts() == (0, 0)
    ledger.record(pop(ledger), [Outcome(1, "succeeded", 1, "1")], 0.1, WORKER)
    assert counts() == (1, 1)


def test_slices_of_a_long_batch_get_wider_and_lose_nothing(ledger, meters):
    submit(ledger, "b", 40)
    key = ledger.key("b", "state")
    for hours in range(4):
        for _ in range(10):
            chunk = pop(ledger)
            ledger.record(chunk, outcomes(ledger.take(chunk).items), 60.0, WORKER)
        # Four hours pass.
        ledger.client.hincrby(key, "created", -3_600_000 * (hours + 1))
    meter = meter_of_b(meters)
    done = sum(good for good, _ in meter.slices.values())
    assert done == info(ledger, "b").succeeded > 30
    assert meter.width == 64
    assert max(meter.slices) < 400
    assert meter.runs == {coarse(0.1): done}


def test_what_is_left_is_what_has_no_outcome_and_messages_of_plain_tasks(ledger, meters):
    observer = Observer(ledger.client, ledger.settings)
    submit(ledger, "b", 300)
    submit(ledger, "idle", 7, queue="io")
    ledger.client.xadd(ledger.settings.key("q:io:0"), {"m": "{}"})
    chunk = pop(ledger)
    ledger.record(chunk, outcomes(ledger.take(chunk).items), 0.01, WORKER)
    Control(ledger.client, ledger.settings).pause("idle")
    # Of the waiting ones, the first was stored an hour ago.
    (identity, fields), *_ = ledger.client.xrange(ledger.key("b", "in"))
    ledger.client.delete(ledger.key("b", "in"))
    fields["at"] = int(fields["at"]) - 3_600_000
    ledger.client.xadd(ledger.key("b", "in"), fields, id=identity)
    until(lambda: observer.look().queues[0].oldest > 3_600)
    cpu, io = observer.look().queues
    assert (cpu.left, cpu.paused) == (299, 0)
    assert cpu.oldest == pytest.approx(3_600, abs=30)
    # Of the message that waits on io, nobody knows which items it stands for: it is one.
    assert (io.left, io.paused) == (1, 7)


def test_workers_and_machines_are_sampled(ledger, meters):
    observer = Observer(ledger.client, ledger.settings)
    ledger.heartbeat(WORKER, {**heartbeat(slots=3), **HOST}, [])
    ledger.heartbeat("io@a", {**heartbeat(slots=64, queue="io"), **HOST}, [])
    container = {"container": True, "machine": "0123456789ab"}
    ledger.heartbeat("io@b", {**heartbeat(queue="io"), **HOST, **container}, [])
    ledger.heartbeat("io@c", {**heartbeat(queue="io"), **HOST, **container, "machine_name": "mill|2"}, [])

    def sampled():
        observer.look()
        now = int(meters.now())
        found = meters.read(1, range(now - 5, now + 1))
        return next((one for one in found if one.hosts), None)

    found = until(sampled)
    load_of_each = {"cores": 4, "cpu": 50, "used": 100, "memory": 200}
    assert found.hosts == dict.fromkeys(("a", "machine 012345", "mill|2"), load_of_each)
    assert (found.queues["cpu"]["slots"], found.queues["cpu"]["busy"], found.queues["io"]["slots"]) == (3, 1, 68)


def test_history_is_kept_as_long_as_it_is_shown_and_no_longer(ledger, meters):
    submit(ledger, "b", 10)
    run_all(ledger)
    rolled(meters)
    for width, number in WIDTHS.items():
        for key in ledger.client.scan_iter(ledger.settings.key(f"meters:{width}:*")):
            left = ledger.client.ttl(key)
            if left >= 0 or width > 1:
                assert width * number < left <= width * number * 1.2 + 30
    # Only the second that runs has no end yet.
    assert sum(ledger.client.ttl(key) < 0 for key in ledger.client.scan_iter(ledger.settings.key("meters:1:*"))) <= 1


def test_plain_tasks_are_counted(ledger, meters):
    counts = [("io", "fetch", "s", 3), ("io", "fetch", "f", 1), ("io", "fetch", "b", 400), ("io", "fetch", "R-10", 4)]
    ledger.heartbeat("io@a", {"queue": "io", "slots": 1}, [], counts=counts)
    count = meters.totals()[Series("io", "fetch")]
    assert (count.succeeded, count.failed, count.busy, count.runs) == (3, 1, 0.4, Counter({-10: 4}))
    assert meters.of_workers(["io@a"]).answer(meters.client)["io@a"][Series("io", "fetch")].done == 4


def test_nothing_is_counted_when_that_is_switched_off(ledger, meters):
    off = Ledger(ledger.client, ledger.settings.model_copy(update={"meters": False}))
    submit(off, "b", 100)
    run_all(off)
    assert info(ledger, "b").succeeded == 100
    assert meters.totals() == {}
    assert meter_of_b(meters).slices == {}


def test_failed_items_are_found_by_index(ledger):
    submit(ledger, "b", 40)
    while chunk := pop(ledger):
        items = ledger.take(chunk).items
        bad = [item for item in items if item.index in {0, 7, 8, 39}]
        ledger.record(chunk, outcomes([i for i in items if i not in bad]) + outcomes(bad, "failed"), 0.01, WORKER)
    reader = ResultReader(ledger.client, ledger.settings, "b")
    assert [result.index for result in reader.failed(0)] == [0, 7, 8, 39]
    assert [result.index for result in reader.failed(8)] == [8, 39]
    assert list(reader.failed(40)) == []
    ledger.delete("b")
    assert list(ledger.client.scan_iter(ledger.key("b", "*"))) == []


def test_the_rate_falls_to_nothing_once_nothing_is_left(ledger, meters):
    observer = Observer(ledger.client, ledger.settings)
    submit(ledger, "b", 10)
    # An observer reads a second that is over only once.
    earlier = Observer(ledger.client, ledger.settings)
    until(lambda: earlier.look().queues[0].left == 10)
    now = int(meters.now())
    for seconds in range(2, 62, 10):
        # Eight slots that began together: their items of 10 s end together.
        fields = {"t|cpu|s|fibonacci": 8, "t|cpu|b|fibonacci": 80_000, f"t|cpu|R{bucket(10.0)}|fibonacci": 8}
        ledger.client.hset(ledger.settings.key(f"meters:1:{now - seconds}"), mapping=fields)
    rate = pytest.approx(0.8, rel=0.1)
    assert until(lambda: Observer(ledger.client, ledger.settings).look().queues[0].rate == rate)
    ledger.delete("b")
    ledger.client.delete(ledger.settings.key("q:cpu:0"))
    assert until(lambda: observer.look().queues[0].left == 0)
    assert until(lambda: observer.look().queues[0].rate == 0)
