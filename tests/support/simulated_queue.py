"""A queue in simulated time: items of many lengths on slots that take a while to start."""

import heapq
import random
from bisect import bisect

from gristmill.fleet.queue_now import QueueNow

START_SECONDS = 20.0


class SimulatedQueue:
    """Runs items, in seconds, on as many slots as it is asked for; new ones take START_SECONDS to start."""

    def __init__(self, items):
        self.at, self.items, self.moments, self.took = 0.0, list(items), [], 0.0
        self._ends, self._starts, self.goal, self.changed_at = [], [], 0, 0.0
        self.slots = 0
        self.busy_seconds = self.slot_seconds = 0.0

    def ask(self, slots):
        more = slots - self.goal
        self.goal = slots
        if more > 0:
            self._starts += [self.at + START_SECONDS] * more
        if more < 0:
            # What has not started does not start; what runs ends first.
            for _ in range(-more):
                if self._starts:
                    self._starts.pop()
                else:
                    self.slots, self.changed_at = self.slots - 1, self.at

    def run(self, seconds):
        end = self.at + seconds
        while self.at < end:
            for moment in [moment for moment in self._starts if moment <= self.at]:
                self._starts.remove(moment)
                self.slots, self.changed_at = self.slots + 1, self.at
            while self._ends and self._ends[0][0] <= self.at:
                moment, took = heapq.heappop(self._ends)
                self.moments.append(moment)
                self.took += took
                if self.items and len(self._ends) < self.slots:
                    # A slot goes on at once, whatever the steps of this clock are.
                    self._start(moment)
            while self.items and len(self._ends) < self.slots:
                self._start(self.at)
            self.busy_seconds += 0.1 * min(len(self._ends), self.slots)
            self.slot_seconds += 0.1 * self.slots
            self.at += 0.1

    def _start(self, at):
        took = self.items.pop()
        heapq.heappush(self._ends, (at + took, took))

    @property
    def left(self):
        return len(self.items) + len(self._ends)

    @property
    def now(self):
        mean = self.took / len(self.moments) if self.moments else 0.0
        recent = len(self.moments) - bisect(self.moments, self.at - 60)
        busy = min(len(self._ends), self.slots)
        return QueueNow(
            "cpu", left=self.left, rate=recent / min(60.0, max(self.at, 1.0)), seconds=mean, work=mean * self.left,
            slots=self.slots, busy=busy, used=busy / self.slots if self.slots else 0.0, oldest=self.at,
            kind="cpu", steady=self.at - self.changed_at,
        )  # fmt: skip


def mix(seed):
    """Seconds of the items of a mixed batch, which need 2 to 45 slots for 10 minutes."""
    random_of = random.Random(seed)
    mean = random_of.choice([0.2, 1.0, 5.0, 15.0])
    spread = random_of.choice(["even", "two", "long tail"])
    work, items = 600.0 * random_of.uniform(2, 45), []
    while work > 0:
        match spread:
            case "even":
                took = mean
            case "two":
                took = random_of.choice([0.3 * mean, 1.7 * mean])
            case _:
                took = min(random_of.lognormvariate(0, 0.6) * mean / 1.2, 20 * mean)
        items.append(took)
        work -= took
    return items
