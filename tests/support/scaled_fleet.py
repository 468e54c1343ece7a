"""A simulated fleet of one queue, which autoscale grows and shrinks as it sees it."""

import random
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from gristmill.fleet.autoscaling import Aim, Past
from gristmill.fleet.registry import LiveWorker
from gristmill.local.slot_choice import SlotChoice
from tests.support.simulated_fleet import Batch, Machine, SimulatedFleet, Task

QUEUE, MOST, LOOK_SECONDS = "io", 64, 2.0


@dataclass(frozen=True)
class Ground:
    """What autoscale works on: the least slots, the seconds that a slot takes to come, and those that workers tell."""

    least: int
    start: float
    worker_start: float


#: A cloud or containers, from nothing; the pools of `gristmill up`, whose workers took longer to start than a slot; and
#: the same where these started while other work had the cores.
CONTAINERS, POOLS, SLOW_WORKERS = Ground(0, 20.0, 20.0), Ground(2, 1.0, 3.0), Ground(2, 1.0, 20.0)


class ScaledFleet:
    """A fleet with a mixed batch that needs 2 to 45 slots for `target` seconds, under an autoscale with that target."""

    name, is_elastic = "a simulation", True

    def __init__(self, seed: int, target: float, idle: float, ground: Ground) -> None:
        self.target, self.ground = target, ground
        self.fleet, self._machine = SimulatedFleet(seed, {QUEUE: "io"}), Machine("m0", 64)
        self.choice = SlotChoice(self, {QUEUE: (ground.least, MOST)}, Aim(target, idle), lambda _: 0)
        self.pasts: dict[str, Past] = {}
        self.busy = self.slots = self.present = 0
        self.log: list[str] = []
        self._grow(ground.least, 0.0)
        dice = random.Random(seed)
        self.batch = self._mix(dice)
        if ground.least:
            self._run_another(dice)
        self.began_at = self.fleet.now
        self.fleet.submit(self.batch)

    def _mix(self, dice: random.Random) -> Batch:
        mean = self.target / dice.choice([3000, 600, 120, 40])
        task = Task("mixed", QUEUE, mean, dice.choice([0.0, 0.3, 0.7]), 0.0)
        return Batch("mixed", task, round(self.target * dice.uniform(2, 45) / mean))

    def _run_another(self, dice: random.Random) -> None:
        """Have a batch of the same task end, whose items took another time: what it tells is of no use."""
        task = replace(self.batch.task, mean=self.batch.task.mean * 10 ** dice.uniform(-1, 1))
        self.fleet.submit(Batch("before", task, max(8, round(10 / task.mean))))
        while self.fleet.left(QUEUE):
            self.fleet.run(self.fleet.now + LOOK_SECONDS, QUEUE)

    # The reach.

    def workers(self, live: Sequence[LiveWorker]) -> list[LiveWorker]:
        """All of them."""
        return list(live)

    def step(self, _queue: str, _live: Sequence[LiveWorker], _before: int) -> int:
        """Slots come and go one by one."""
        return 1

    def apply(self, slots: Mapping[str, int], _live: Sequence[LiveWorker]) -> None:
        """Start as many slots as are missing; or have some go, those first that have not come or have nothing to do."""
        self._grow(slots[QUEUE], self.ground.start)

    def _grow(self, slots: int, start: float) -> None:
        mine = [one for one in self.fleet.workers if not one.is_leaving]
        for _ in range(slots - len(mine)):
            self.fleet.add_worker(QUEUE, self._machine, 1, start)
            self.fleet.workers[-1].start = self.ground.worker_start
        if slots < len(mine):
            mine.sort(key=lambda one: (one.ready <= self.fleet.now, one.busy))
            self.fleet.retire(mine[: len(mine) - slots])

    # The run.

    def look(self) -> None:
        """Look once, as autoscale does, and let time pass until the next look or the end of the batch."""
        live = [one for one in self.fleet.workers if one.ready <= self.fleet.now and not one.is_leaving]
        self.present = len(live)
        self.busy, self.slots = self.busy + sum(one.busy for one in live), self.slots + self.present
        overview = self.fleet.look()
        before = self.pasts.get(QUEUE)
        self.pasts = self.choice.next(overview, 0.0, self.pasts)
        past = self.pasts[QUEUE]
        if before is None or before.slots != past.slots:
            self.log.append(f"{self.seconds:.0f} s: {past.slots} slots: {past.reason}")
        self.apply({QUEUE: past.slots}, ())
        self.fleet.run(self.fleet.now + LOOK_SECONDS, QUEUE if self.batch.left else "")

    @property
    def seconds(self) -> float:
        """Seconds since the batch was submitted."""
        return self.fleet.now - self.began_at

    @property
    def past(self) -> Past:
        """What was decided last."""
        return self.pasts[QUEUE]
