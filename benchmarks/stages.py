"""`python -m benchmarks.stages`: what each stage of a batch costs, in this process and in the server, an item.

One process does all: it submits no-ops, takes, runs and records their chunks as a worker's slot does, and reads the
results. `--profile STAGE` shows where this process's time of a stage goes instead.
"""

import argparse
import cProfile
import pstats
import time
from collections.abc import Callable
from functools import wraps
from typing import Any

from benchmarks.chunk_messages import chunk_of
from benchmarks.options import at_least
from benchmarks.server_load import cpu_seconds
from benchmarks.started import server_of_settings
from gristmill import open_batch, submit
from gristmill.batches.chunk import Chunk
from gristmill.batches.ledger import Ledger
from gristmill.config.settings import settings
from gristmill.fleet.registry import WorkerRegistry
from gristmill.server.connection import client
from gristmill.tasks import catalog
from gristmill.worker.slot.runner import Runner

WORKER = "cpu@stages"
STAGES = ("submit", "take", "run", "record", "follow")


class Stages:
    """CPU seconds of this process and of the server, and calls, by stage; stages may lie within another."""

    def __init__(self, profiled: str | None) -> None:
        self.mine, self.servers, self.calls = (dict.fromkeys(STAGES, 0.0) for _ in range(3))
        self.profile, self._profiled = cProfile.Profile(), profiled
        self._within: list[str] = []

    def measured(self, stage: str, call: Callable[..., Any]) -> Callable[..., Any]:
        """The call, whose time is counted to its stage, and no longer to the one that it lies within."""

        @wraps(call)
        def counted(*arguments: Any, **keywords: Any) -> Any:
            server, mine = cpu_seconds(client()), time.process_time()
            self._switch(stage)
            try:
                return call(*arguments, **keywords)
            finally:
                self._switch(None)
                used, served = time.process_time() - mine, cpu_seconds(client()) - server
                for name, sign in ((stage, 1), *((outer, -1) for outer in self._within[-1:])):
                    self.mine[name] += sign * used
                    self.servers[name] += sign * served
                self.calls[stage] += 1

        return counted

    def _switch(self, stage: str | None) -> None:
        self.profile.disable()
        if stage:
            self._within.append(stage)
        else:
            self._within.pop()
        if self._within and self._within[-1] == self._profiled:
            self.profile.enable()


def _commands(items: int) -> str:
    """What the server's commands took, in µs an item; `evalsha` with what its scripts call, which is listed too."""
    info: dict[str, dict[str, float]] = client().info("commandstats")
    used = sorted(((row["usec"] / items, name.removeprefix("cmdstat_")) for name, row in info.items()), reverse=True)
    return ", ".join(f"{name} {each:.2f}" for each, name in used[:8])


def _popped(ledger: Ledger, queue: str) -> Chunk | None:
    """The chunk of the next message, which is removed."""
    for stream in (f"gm1:q:{queue}:{level}" for level in range(10)):
        for place, fields in ledger.client.xrange(stream, count=1):
            ledger.client.xdel(stream, place)
            return chunk_of(fields["m"])
    return None


def play(items: int, stages: Stages) -> None:
    """One batch of no-ops, from its first item to its last result."""
    ledger = Ledger(client(), settings())
    for name, stage in (("take", "take"), ("record", "record"), ("record_and_go_on", "record")):
        setattr(ledger, name, stages.measured(stage, getattr(ledger, name)))
    ledger.heartbeat(WORKER, {"queue": "cpu", "slots": 1}, [])
    announcements = {word: task.announcement for word, task in catalog.load().items()}
    WorkerRegistry(client(), settings()).announce(WORKER, announcements)
    name = stages.measured("submit", submit)("noop", range(items)).name
    run = stages.measured("run", Runner(ledger, settings()).run)
    while chunk := _popped(ledger, "cpu"):
        run(chunk, WORKER)
    batch = open_batch(name)
    assert batch.info().succeeded == items
    assert stages.measured("follow", lambda: sum(1 for _ in batch.results()))() == items


def main() -> None:
    """Play and print."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.stages", description=__doc__)
    parser.add_argument("--items", type=at_least(1), default=200_000)
    parser.add_argument("--profile", choices=STAGES, help="show where this process's time of that stage goes")
    arguments = parser.parse_args()
    stages = Stages(arguments.profile)
    with server_of_settings("benchmarks.noops"):
        play(arguments.items, stages)
        commands = _commands(arguments.items)
    if arguments.profile:
        pstats.Stats(stages.profile).sort_stats("tottime").print_stats(15)
        return
    print(f"{'stage':<8}{'calls':>8}{'µs of this process an item':>28}{'µs of the server an item':>26}")
    for stage in STAGES:
        mine, served = (1e6 * times[stage] / arguments.items for times in (stages.mine, stages.servers))
        print(f"{stage:<8}{stages.calls[stage]:>8,.0f}{mine:>28.2f}{served:>26.2f}")
    print(f"the server's commands, µs an item: {commands}")


if __name__ == "__main__":
    main()
