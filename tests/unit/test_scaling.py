"""The model of the advice on simulated fleets: what limits a queue, and whether what it says comes true."""

import os
from collections import Counter
from itertools import pairwise

import pytest

from gristmill.fleet.scaling import Limit, plan
from tests.support.advised_fleet import AdvisedFleet
from tests.support.simulated_fleet import Batch, Machine, SimulatedFleet, Task

#: Fleets of the slow test; docs/dashboard.md tells what it is with 1,000.
FLEETS = int(os.environ.get("ADVISED_FLEETS", "250"))


def followed(seed: int) -> tuple[float, float] | None:
    """Seconds that the advice said, and that it took to who did what it said; None where it gave no command."""
    advised = AdvisedFleet.of(seed)
    fleet, at = advised.fleet, 15.0
    while at <= 180:
        fleet.run(at, advised.queue)
        advice = advised.advice()
        if advice.command and advice.limit == Limit.SLOTS and advice.seconds:
            advised.follow(advice.command)
            fleet.run(at + 5000, advised.queue)
            assert not fleet.left(advised.queue)
            return advice.seconds, fleet.now - at
        at += 10
    return None


@pytest.mark.parametrize(("fleets", "share"), [(20, 0.9), pytest.param(FLEETS, 0.95, marks=pytest.mark.slow)])
def test_the_time_that_the_advice_says_is_the_time_that_it_takes(fleets, share):
    """Within 20 %, in 95 % of the fleets in which somebody follows the advice; in fewer of a few of them."""
    times = [pair for seed in range(fleets) if (pair := followed(seed))]
    wrong = [(said, real) for said, real in times if abs(real / said - 1) > 0.2]
    assert len(times) > fleets / 2
    assert len(wrong) <= (1 - share) * len(times), Counter(real > said for said, real in wrong)


@pytest.mark.parametrize("seed", range(10))
def test_nothing_else_is_advised_while_it_takes_hold(seed):
    """Input D4: for 25 s, it advised to scale down again."""
    advised = AdvisedFleet.of(seed)
    fleet, at, starts = advised.fleet, 15.0, []
    fleet.run(at, advised.queue)
    while at < 300 and fleet.left(advised.queue):
        advice = advised.advice()
        is_starting = any(one.ready + 1 > at for one in fleet.workers)
        if advice.command and advice.limit == Limit.SLOTS and not is_starting:
            slots = advised.slots
            # It fails where the command has fewer of any queue than there are.
            advised.follow(advice.command)
            assert advised.slots > slots
            starts.append(at)
        at += 5
        fleet.run(at, advised.queue)
    # The next advice comes when the slots of the last one have been measured.
    assert all(later - one >= advised.start + 10 for one, later in pairwise(starts))


def fleet_of(queue="cpu", cores=4, slots=2, mean=0.1, left=20_000, **fields):
    """A fleet of one machine with one worker and one batch."""
    fleet = SimulatedFleet(1, {"cpu": "cpu", "io": "io"}, fields.pop("server_cost", 0.0))
    machine = Machine("m", cores, others=fields.pop("others", 0.0))
    batch = {name: fields.pop(name) for name in ("rate", "feeding") if name in fields}
    fleet.add_worker(queue, machine, slots, **fields)
    fleet.submit(Batch("b", Task("t", queue, mean, 0.2, 1.0 if queue == "cpu" else 0.001), left, **batch))
    return fleet


def limit_of(fleet, queue="cpu", at=30.0):
    fleet.run(at)
    view = fleet.look()
    (now,) = [one for one in view.queues if one.name == queue]
    planned = plan(now, view.queues, view.workers, fleet.server_cpu())
    assert planned.queue == queue
    return planned


class TestLimits:
    def test_slots(self):
        planned = limit_of(fleet_of(cores=16))
        assert planned.limit == Limit.SLOTS
        assert planned.slots > 2

    @pytest.mark.parametrize("others", [0.0, 4.0])
    def test_cores(self, others):
        planned = limit_of(fleet_of(slots=4, left=40_000, others=others))
        assert (planned.limit, planned.slots) == (Limit.CORES, 4)
        assert planned.machines >= 1

    def test_cores_of_the_other_queue(self):
        fleet = fleet_of(left=40_000)
        fleet.add_worker("io", fleet.workers[0].machine, 2)
        fleet.submit(Batch("busy", Task("u", "io", 5000.0, 0.0, 1.0), 2))
        assert limit_of(fleet).limit is Limit.CORES

    def test_io_that_sleeps_needs_no_core(self):
        """Input D3: 64 slots that sleep, on a busy machine."""
        planned = limit_of(fleet_of("io", slots=64, mean=1.0, others=4.0), "io")
        assert planned.limit is Limit.SLOTS
        assert planned.slots > 64

    def test_memory(self):
        assert limit_of(fleet_of(slots=8, cores=8, reserve=400, limit=1000)).limit is Limit.MEMORY

    @pytest.mark.parametrize("rate", [2.0, 10.0])
    def test_rate(self, rate):
        planned = limit_of(fleet_of(slots=4, rate=rate, left=2_000))
        assert planned.limit is Limit.HOLD
        assert planned.seconds == pytest.approx((2_000 - 30 * rate) / rate, rel=0.1)
        assert planned.slots < 4

    def test_server(self):
        planned = limit_of(fleet_of("io", slots=64, mean=0.001, left=10_000_000, server_cost=0.05), "io")
        assert planned.limit is Limit.SERVER

    def test_producer(self):
        fleet = fleet_of(slots=8, cores=16, mean=0.5, left=8, feeding=True)
        batch = fleet.batches[0]

        def feed():
            fleet.feed(batch, 3)
            fleet.at(fleet.now + 1, feed)

        feed()
        planned = limit_of(fleet, at=60.0)
        # What it has so far is done in time.
        assert planned.limit in (Limit.PRODUCER, Limit.NOTHING)
        assert planned.slots < 8

    def test_long_items(self):
        planned = limit_of(fleet_of(slots=8, cores=16, mean=200.0, left=12), at=260.0)
        assert planned.limit is Limit.LONG_ITEMS

    def test_nothing(self):
        assert limit_of(fleet_of(left=1000)).limit is Limit.NOTHING
        assert limit_of(fleet_of(left=1)).slots == 0

    def test_nobody_works(self):
        fleet = SimulatedFleet(1, {"cpu": "cpu", "io": "io"})
        fleet.submit(Batch("b", Task("t", "cpu", 1.0, 0.0, 1.0), 10))
        planned = limit_of(fleet)
        assert (planned.limit, planned.slots, planned.seconds) == (Limit.SLOTS, 1, None)


@pytest.mark.parametrize(("mean", "slots"), [(0.05, 64), (1.0, 64), (7.0, 64), (20.0, 64)])
def test_constant_load_gives_a_constant_rate(mean, slots):
    """Input D16: io's rate was a saw-tooth, and the time to drain went from 10 min to 5 min within 30 s."""
    fleet = fleet_of("io", slots=slots, mean=mean, left=round(600 * slots / mean))
    rates, ends = [], []
    for at in range(60 + round(4 * mean), 260, 7):
        fleet.run(float(at))
        (queue,) = [one for one in fleet.look().queues if one.name == "io"]
        rates.append(queue.rate)
        ends.append(at + queue.drain)
    assert max(rates) < 1.15 * min(rates)
    assert max(ends) - min(ends) < 0.1 * 600
