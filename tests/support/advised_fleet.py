"""Simulated fleets of all sizes, and somebody who does what the advice says, literally."""

import random
import re
from dataclasses import dataclass

from gristmill.dashboard.advice import Advice, advise
from gristmill.dashboard.advised_command import Reader
from tests.support.simulated_fleet import Batch, Machine, SimulatedFleet, Task, Worker

#: Events of long items in one fleet, about, at most: it keeps the simulation short.
EVENTS = 600
READER = Reader("m0")


@dataclass
class AdvisedFleet:
    """A fleet with a backlog on `queue`, of which the workers run as `how` says: `up`, `compose` or `pod`."""

    fleet: SimulatedFleet
    queue: str
    how: str
    start: float

    @classmethod
    def of(cls, seed: int) -> "AdvisedFleet":
        """The fleet of a seed."""
        dice = random.Random(seed)
        number = dice.choices([1, dice.randint(2, 4), dice.randint(5, 20), dice.randint(21, 100)], [50, 25, 17, 8])[0]
        queue = dice.choice(["cpu", "io", "gpu"])
        kinds = {"cpu": "cpu", "io": "io", "gpu": "cpu"}
        one = cls(SimulatedFleet(seed, kinds), queue, dice.choice(["up", "compose", "pod"]), dice.uniform(5, 25))
        others = [name for name in kinds if name != queue and dice.random() < 0.5]
        cores = dice.choice([2, 4, 8, 16, 32])
        for i in range(number):
            machine = Machine(f"m{i}", cores, others=dice.choice([0, 0, 0, 0.5 * cores]))
            if one.how == "pod":
                # Kubernetes crowds no machine with more pods than it has cores for.
                machine = Machine(f"m{i}", 3 * cores)
            one.fleet.machines.append(machine)
            for name in (queue, *others):
                one._add_workers(name, machine, _slots(kinds[name], cores, dice))
        one._submit(queue, dice.uniform(90, 600), dice)
        for name in others:
            if dice.random() < 0.7:
                one._occupy(name, dice.choice([20.0, 5000.0, 5000.0, 5000.0]))
        return one

    def _add_workers(self, queue: str, machine: Machine, slots: int) -> None:
        each = slots if self.how == "up" or queue == "io" else 1
        for _ in range(slots // each):
            self._add(queue, machine, each, 0.0)

    def _add(self, queue: str, machine: Machine, slots: int, start: float) -> None:
        fields = {"container": self.how != "up", "namespace": "mill" if self.how == "pod" else ""}
        if self.how == "compose" and queue != "io":
            fields["quota"] = float(slots)
        self.fleet.add_worker(queue, machine, slots, start, **fields)
        self.fleet.workers[-1].start = self.start

    def _submit(self, queue: str, seconds: float, dice: random.Random) -> None:
        """Store batches that take about so long, of one task or of two."""
        slots = sum(one.slots for one in self.fleet.workers if one.queue == queue)
        parts = dice.choice([1, 1, 2])
        first = 10 ** dice.uniform(-2, 1.2)
        for part in range(parts):
            mean = first * (dice.uniform(0.3, 3) if part else 1)
            mean = max(mean, 0.5, slots * seconds / EVENTS) if first >= 0.5 else min(mean, 0.49)
            cores = 1.0 if queue != "io" else dice.choice([0.0, 0.002, 0.01])
            # Of a few long items that differ much, nobody can tell when the last one ends.
            cv = dice.choice([0.0, 0.3, 1.0 if mean < 0.5 else 0.5 if mean < 5 else 0.2])
            task = Task(f"{queue}{part}", queue, mean, cv, cores)
            self.fleet.submit(Batch(f"{queue}-{part}", task, max(1, round(seconds * slots / mean / parts))))

    def _occupy(self, queue: str, seconds: float) -> None:
        """Give each slot of a queue an item that takes so long."""
        slots = sum(one.slots for one in self.fleet.workers if one.queue == queue)
        task = Task(queue, queue, seconds, 0.0, 0.005 if queue == "io" else 1.0)
        self.fleet.submit(Batch(queue, task, slots))

    @property
    def slots(self) -> int:
        """The slots of the queue, with those that start now."""
        return sum(one.slots for one in self.fleet.workers if one.queue == self.queue and not one.is_leaving)

    def advice(self) -> Advice:
        """What the dashboard advises now."""
        view = self.fleet.look()
        queue = next(one for one in view.queues if one.name == self.queue)
        return advise(queue, view.queues, view.workers, self.fleet.server_cpu(), READER)

    def follow(self, command: str) -> None:
        """Type the command, where it says."""
        where = self.fleet.machines
        for line in command.splitlines():
            if line.startswith("# on "):
                names = line.removeprefix("# on ").split(", ")
                is_all = names[0].startswith("each of the ")
                where = self.fleet.machines if is_all else [one for one in self.fleet.machines if _is(one, names)]
                assert where, line
            elif line.startswith("docker compose "):
                self._compose(where, line)
            elif line.startswith("gristmill up "):
                self._up(where, line)
            else:
                self._scale_pods(line)

    def _compose(self, where: list[Machine], line: str) -> None:
        for machine in where:
            assert ("-f docker-compose.worker.yml" in line) == (machine.id != READER.machine), line
            for name, number in re.findall(r"--scale (\w+)=(\d+)", line):
                mine = self._workers(name, machine)
                assert int(number) >= len(mine), f"fewer than there are: {line}"
                for _ in range(int(number) - len(mine)):
                    self._add(name, machine, mine[0].slots if mine else 1, self.start)

    def _up(self, where: list[Machine], line: str) -> None:
        slots = {name: int(number) for name, number in re.findall(r"(\w+)(?:-slots |=)(\d+)", line)}
        for machine in where:
            mine = [one for one in self.fleet.workers if one.machine is machine and not one.is_leaving]
            assert all(slots[one.queue] >= one.slots for one in mine), f"fewer than there are: {line}"
            self.fleet.stop_workers(mine)
            for name, number in slots.items():
                self._add(name, machine, number, self.start)

    def _scale_pods(self, line: str) -> None:
        match = re.fullmatch(r"kubectl scale deployment pod --namespace mill --replicas=(\d+)", line)
        assert match, line
        mine = [one for one in self.fleet.workers if one.queue == self.queue]
        for i in range(int(match[1]) - len(mine)):
            # Kubernetes finds machines for them.
            machine = Machine(f"new{i}", 64)
            self._add(self.queue, machine, mine[0].slots, self.start)

    def _workers(self, queue: str, machine: Machine) -> list[Worker]:
        return [
            one for one in self.fleet.workers if one.queue == queue and one.machine is machine and not one.is_leaving
        ]


def _slots(kind: str, cores: int, dice: random.Random) -> int:
    if kind == "io":
        return 64
    return max(1, round(cores * dice.choice([0.125, 0.25, 0.5, 1.0])))


def _is(machine: Machine, names: list[str]) -> bool:
    return machine.id in names or f"machine {machine.id[:6]}" in names
