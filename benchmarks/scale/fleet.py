"""Many workers: what their heartbeats and takes cost the server, how long a take lasts, and what joining costs."""

import multiprocessing
import statistics
import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from typing import Any

from benchmarks.scale.driver import JOIN_SECONDS, Driver
from benchmarks.scale.worker import SimulatedWorker
from benchmarks.server_load import cpu_seconds, server_load
from gristmill import submit
from gristmill.config.settings import settings
from gristmill.fleet.registry import WorkerRegistry
from gristmill.server.connection import client, connect
from gristmill.tasks import catalog
from gristmill.worker.item_runner import ItemRunner

#: Slots of a worker; seconds for which a slot holds a chunk, on average; processes that drive workers.
SLOTS, HOLD, DRIVERS = 8, 10.0, 4
#: Takes a second that are measured.
PROBES = 20


@dataclass(frozen=True, slots=True)
class FleetLoad:
    """What `workers` workers cost the server.

    `cpu` is the share of a second that the server computes; `take50` and `take99` are percentiles of a take that has
    a message, in ms; `late99` that of the time by which drivers sent too late, in ms: where it is high, workers sent
    less than real ones. `busy` counts the slots that held a chunk.
    """

    workers: int
    busy: int
    cpu: float
    commands: float
    take50: float
    take99: float
    late99: float
    script: float
    script_name: str
    scripts: str


@dataclass(frozen=True, slots=True)
class Joining:
    """Server CPU of one worker's start, in µs: of the first hundred workers, and of the last hundred."""

    workers: int
    first: float
    last: float


def joining(workers: int) -> Joining:
    """Have workers join one after the other."""
    shared, costs = connect(), []
    for number in range(workers):
        worker = SimulatedWorker(number, SLOTS, shared)
        before = cpu_seconds(shared)
        worker.join()
        costs.append(1e6 * (cpu_seconds(shared) - before))
    hundred = min(100, workers // 2)
    return Joining(workers, statistics.fmean(costs[:hundred]), statistics.fmean(costs[-hundred:]))


def _drive(numbers: Sequence[int], ended: Any, pipe: Any) -> None:
    driver = Driver(numbers, SLOTS, HOLD)
    catalog.load()
    driver.run(ended.is_set)
    pipe.send(driver.late)


@contextmanager
def _drivers(workers: int) -> Iterator[list[float]]:
    """Processes that drive the workers; their lateness is there when the block has ended."""
    context = multiprocessing.get_context("spawn")
    ended, late, pipes = context.Event(), list[float](), []
    with ExitStack() as stack:
        for driver in range(DRIVERS):
            ours, theirs = context.Pipe()
            process = context.Process(target=_drive, args=(range(driver, workers, DRIVERS), ended, theirs), daemon=True)
            process.start()
            stack.callback(process.join)
            pipes.append(ours)
        try:
            yield late
        finally:
            ended.set()
        for pipe in pipes:
            late.extend(pipe.recv())


def _busy() -> int:
    """The messages that workers hold."""
    groups = [client().xinfo_groups(key) for key in client().scan_iter("gm1:q:cpu:*")]
    return sum(group["pending"] for stream in groups for group in stream)


def measure(workers: int, seconds: float) -> FleetLoad:
    """Start the workers, let them fill their slots, and look at them for `seconds` seconds."""
    with _drivers(workers) as late:
        _wait_for(workers, seconds)
        submit("noop", range(20 * workers * SLOTS))
        time.sleep(JOIN_SECONDS)
        probe = SimulatedWorker(workers, 1, connect())
        probe.join()
        with server_load(client()) as load:
            takes = _probed(probe, seconds)
        busy = _busy()
    takes, lateness = statistics.quantiles(takes, n=100), statistics.quantiles(late, n=100)
    return FleetLoad(
        workers=workers,
        busy=busy,
        cpu=load.cpu / load.seconds,
        commands=load.commands / load.seconds,
        take50=1000 * takes[49],
        take99=1000 * takes[98],
        late99=1000 * lateness[98],
        script=load.longest,
        script_name=load.longest_name,
        scripts=load.summary(round(load.seconds)),
    )


def _wait_for(workers: int, seconds: float) -> None:
    deadline = time.monotonic() + 60 + seconds
    registry = WorkerRegistry(client(), settings())
    while (joined := len(registry.workers())) < workers:
        if time.monotonic() > deadline:
            raise RuntimeError(f"{joined} of {workers} workers joined")
        time.sleep(0.1)


def _probed(worker: SimulatedWorker, seconds: float) -> list[float]:
    """How long takes last, in seconds; what they bring runs at once."""
    task, times, until = catalog.find("noop"), [], time.monotonic() + seconds
    while time.monotonic() < until:
        started_at = time.perf_counter()
        tags = worker.take(1)
        if tags:
            times.append(time.perf_counter() - started_at)
        for tag in tags:
            chunk = worker.chunks[tag]
            if work := worker.ledger.take(chunk, worker.id):
                outcomes = list(map(ItemRunner(work, task, "probe"), work.items))
                worker.ledger.record(chunk, outcomes, HOLD, worker.id)
            worker.acknowledge(tag)
        time.sleep(1 / PROBES)
    return times
