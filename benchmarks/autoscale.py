"""`python -m benchmarks.autoscale`: whether batches end in time under `gristmill autoscale`, on how busy slots.

Starts a private server, a worker with processes and one with threads, and `gristmill autoscale`, whose command changes
the pools of both; or with `--on compose` a project on the Docker engine, whose containers it starts and removes. In
each round, a batch of each kind (on the engine, of io only) begins at the least slots: items that are short, long or
unlike each other, take their time and next to no core, and are so many that 3 slots or a few more are enough. Prints a
line for each batch, and exits with 1 where one ended more than 20 % off the target, had slots that were less than 85 %
busy, or more than two changes of direction.
"""

import argparse
import os
import random
import shlex
import signal
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass

from benchmarks.options import at_least
from benchmarks.project import own_project
from benchmarks.started import own_fleet, running
from gristmill import Batch, BatchInfo, submit
from gristmill.config.settings import settings
from gristmill.fleet.autoscale_seat import autoscale_now
from gristmill.fleet.registry import WorkerRegistry
from gristmill.server.connection import client
from gristmill.tasks.kind import Kind
from tests.support.examples import PROJECT

MODULE = "benchmarks.waiting"
TASKS = {Kind.CPU: "nap", Kind.IO: "doze"}
#: The slots of each kind that a round begins with.
LEAST = 2
#: The most slots that a batch of each kind is made for, and may get. Autoscale starts as many containers of kind
#: cpu as there are free cores, and each container uses some percent of a core while its only slot waits.
NEEDED = {"pools": {Kind.CPU: 8, Kind.IO: 16}, "compose": {Kind.IO: 8}}
MOST = {"pools": {Kind.CPU: 16, Kind.IO: 64}, "compose": {Kind.IO: 12}}
#: What is held: the share by which a batch may be early or late, the share of slots that is busy, changes of direction.
TOLERANCE, BUSY, TURNS = 0.2, 0.85, 2
LOOK_SECONDS, IDLE_SECONDS = 0.5, 3.0
#: The run time of an item in seconds, by the name of the mix.
MIXES = {
    "short": lambda dice: dice.uniform(0.2, 0.4),
    "long": lambda dice: dice.uniform(4, 8),
    "unlike": lambda dice: min(15.0, dice.expovariate(1 / 1.5)),
    "few long": lambda dice: 6.0 if dice.random() < 0.1 else 0.4,
}


@dataclass
class Watched:
    """A batch, and what its queue has done since it began."""

    kind: Kind
    mix: str
    batch: "Batch[None]"
    busy: int = 0
    slots: int = 0
    turns: int = 0

    def look(self, registry: WorkerRegistry) -> bool:
        """Look once; whether the batch still runs."""
        if self.batch.info().finished:
            return False
        for worker in registry.workers():
            if worker.queue == self.kind:
                self.busy, self.slots = self.busy + worker.busy, self.slots + worker.slots
        at = time.time()
        now = autoscale_now(settings(), at).answer(client())
        if now and self.kind in now["queues"]:
            self.turns = max(self.turns, now["queues"][self.kind]["turns"])
        return True

    def judge(self, target: float) -> bool:
        """Print what became of the batch; whether that is as it should be."""
        info = self.batch.info()
        seconds, share = _seconds(info), self.busy / max(1, self.slots)
        good = abs(seconds / target - 1) <= TOLERANCE and share >= BUSY and self.turns <= TURNS
        print(
            f"{self.kind:4} {self.mix:9} {info.submitted:6,} items: {seconds:5.1f} s of {target:g} s "
            f"({100 * (seconds / target - 1):+.0f} %), slots {100 * share:.0f} % busy, {self.turns} turns, "
            f"{info.submitted - info.succeeded} lost{'' if good else '  <- off'}",
            flush=True,
        )
        return good and info.succeeded == info.submitted


def _seconds(info: BatchInfo) -> float:
    return (info.finished or 0.0) - info.created


def begin(kind: Kind, most: int, target: float, dice: random.Random, mixes: Sequence[str]) -> Watched:
    """Submit a batch of one of the mixes that 3 to `most` slots do in the target."""
    mix, slots = dice.choice(sorted(mixes)), dice.randint(3, most)
    items: list[float] = []
    while sum(items) < 0.9 * slots * target:
        items.append(round(MIXES[mix](dice), 3))
    return Watched(kind, mix, submit(TASKS[kind], items))


@contextmanager
def scaled(place: str, target: float) -> Iterator[None]:
    """Workers of both kinds, as pools or as containers, and `gristmill autoscale`, while the context lasts."""
    words = ["autoscale", "--target", f"{target}s", "--idle", f"{IDLE_SECONDS}s"]
    for kind in Kind:
        words += [f"--{kind}-slots", f"{LEAST}..{MOST[place][kind]}" if kind in MOST[place] else "0..0"]
    slots = {str(kind): LEAST for kind in MOST[place]}
    with ExitStack() as stack:
        if place == "compose":
            project = stack.enter_context(own_project(MODULE, slots))
            # Compose's names are not among the settings.
            environ = {**project.environ, **os.environ}
        else:
            stack.enter_context(own_fleet(MODULE, slots))
            words += ["--exec", shlex.join([sys.executable, "-m", "benchmarks.autoscale", "--resize"]) + " {cpu} {io}"]
            environ = dict(os.environ)
        stack.enter_context(running("gristmill", *words, environ=environ, stdin=subprocess.DEVNULL, cwd=PROJECT))
        yield


def resize(slots: dict[Kind, int]) -> None:
    """Ask each worker for its slots."""
    registry = WorkerRegistry(client(), settings())
    for worker in registry.workers():
        if worker.queue in slots and worker.slots != slots[Kind(worker.queue)]:
            registry.resize(worker.id, slots[Kind(worker.queue)])


def wait_for_least(registry: WorkerRegistry) -> None:
    """Wait until each queue has its least slots again."""
    while any(slots != LEAST for slots in _slots(registry).values()):
        time.sleep(LOOK_SECONDS)


def _slots(registry: WorkerRegistry) -> Counter[str]:
    slots = Counter[str]()
    for worker in registry.workers():
        slots[worker.queue] += worker.slots
    return slots


def measure(needed: Mapping[Kind, int], rounds: int, target: float, seed: int, mixes: Sequence[str]) -> int:
    """Run all rounds; the number of batches that were not as they should be."""
    dice, registry, bad = random.Random(seed), WorkerRegistry(client(), settings()), 0
    for _ in range(rounds):
        wait_for_least(registry)
        batches = [begin(kind, most, target, dice, mixes) for kind, most in needed.items()]
        running = batches
        while running:
            time.sleep(LOOK_SECONDS)
            running = [one for one in running if one.look(registry)]
        bad += sum(not one.judge(target) for one in batches)
    number = rounds * len(needed)
    print(f"{number - bad} of {number} batches as they should be")
    return bad


def main() -> int:
    """Read the command line, and measure; 1 if a batch was not as it should be."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--on", choices=sorted(MOST), default="pools", help="what grows and shrinks (default: pools)")
    parser.add_argument("--rounds", type=at_least(1), default=10, help="rounds of a batch of each kind (default: 10)")
    parser.add_argument("--target", type=at_least(20), default=240, help="seconds of a batch (default: 240)")
    parser.add_argument("--seed", type=int, default=1, help="seed of the mixes (default: 1)")
    parser.add_argument("--mix", nargs="+", choices=sorted(MIXES), default=sorted(MIXES), help="mixes (default: all)")
    parser.add_argument("--resize", type=int, nargs=2, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    # Who ends this ends all that it has started, containers too.
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    if arguments.resize:
        resize(dict(zip(Kind, arguments.resize, strict=True)))
        return 0
    with scaled(arguments.on, arguments.target):
        needed = NEEDED[arguments.on]
        return 1 if measure(needed, arguments.rounds, arguments.target, arguments.seed, arguments.mix) else 0


if __name__ == "__main__":
    sys.exit(main())
