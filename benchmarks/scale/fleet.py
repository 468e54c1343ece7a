"""Many workers: what they cost the server, how long a take and a record last, joining all at once, a rack that dies."""

import statistics
import time
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from threading import Event, Thread

from benchmarks.dashboard import DashboardProcess
from benchmarks.polling import until
from benchmarks.quantile import quantile
from benchmarks.scale.drivers import Drivers
from benchmarks.scale.worker import SimulatedWorker
from benchmarks.server_load import cpu_seconds, server_load
from gristmill import Batch, submit
from gristmill.config.settings import settings
from gristmill.fleet.registry import WorkerRegistry
from gristmill.local.fleet import LocalFleet
from gristmill.server.connection import client, connect
from gristmill.tasks import catalog
from gristmill.worker.slot.item_runner import ItemRunner

#: Seconds for which a slot holds a chunk, on average.
HOLD = 10.0
#: Takes a second that are measured; seconds between two looks of somebody at the dashboard.
PROBES, LOOK_SECONDS = 20, 1.0
#: Seconds after which a rack's messages have to be elsewhere.
RACK_SECONDS = 60.0


@dataclass(frozen=True, slots=True)
class FleetLoad:
    """What `workers` workers of `slots` slots cost the server.

    `joined` is how long it took until all had joined, in seconds, which they did within `storm` seconds as far as the
    drivers can; `join_cpu` the share of a second that the server computed then, `join_script` its longest script in ms.
    `busy` counts the slots that held a chunk. `cpu` is the share of a second that the server computes. `takes` and
    `records` are seconds, of a take that has a message and of a record; `pages` those of the dashboard's answers, by
    page, in ms. `late99` is by how much drivers sent too late, in ms: where it is high, workers sent less than real
    ones. A rack of `rack` workers had
    `rack_messages`, of which `handed_on` were elsewhere `back` seconds after its death.
    """

    workers: int
    slots: int
    storm: float
    joined: float
    join_cpu: float
    join_script: str
    busy: int
    cpu: float
    commands: float
    takes: Sequence[float]
    records: Sequence[float]
    pages: dict[str, list[float]]
    late99: float
    script: str
    scripts: str
    rack: int
    rack_messages: int
    handed_on: int
    back: float


@dataclass(frozen=True, slots=True)
class Joining:
    """Server CPU of one worker's start, in µs: of the first hundred workers, and of the last hundred."""

    workers: int
    first: float
    last: float


def joining(workers: int, slots: int) -> Joining:
    """Have workers join one after the other."""
    costs = []
    with connect() as shared, ExitStack() as stack:
        for number in range(workers):
            worker = SimulatedWorker(number, slots, shared)
            stack.callback(worker.close)
            before = cpu_seconds(shared)
            worker.join()
            costs.append(1e6 * (cpu_seconds(shared) - before))
    hundred = min(100, workers // 2)
    return Joining(workers, statistics.fmean(costs[:hundred]), statistics.fmean(costs[-hundred:]))


def measure(workers: int, slots: int, seconds: float, storm: float, rack: int) -> FleetLoad:
    """Let the workers join, fill their slots, look at them for `seconds` seconds, and kill a rack of them."""
    with ExitStack() as stack:
        dashboard = stack.enter_context(LocalFleet("benchmark", {}, port=0, logs=settings().home / "logs"))
        dashboard.wait_ready()
        drivers = stack.enter_context(Drivers(workers, slots, HOLD, storm, rack))
        with server_load(client()) as join:
            drivers.begin()
            joined = _seconds_until(lambda: _live() >= workers, 60 + storm + seconds)
        batch = submit("noop", range(20 * workers * slots))
        time.sleep(5)
        probe = SimulatedWorker(workers, 1, stack.enter_context(connect()))
        stack.callback(probe.close)
        probe.join()
        looks = stack.enter_context(Looks(dashboard, batch))
        with server_load(client()) as load:
            takes, records = _probed(probe, seconds)
        looks.end()
        busy = sum(_pending("").values())
        rack_messages, handed_on, back = _rack_dies(drivers) if rack else (0, 0, 0.0)
    return FleetLoad(
        workers=workers,
        slots=slots,
        storm=storm,
        joined=joined,
        join_cpu=join.cpu / join.seconds,
        join_script=join.slowest,
        busy=busy,
        cpu=load.cpu / load.seconds,
        commands=load.commands / load.seconds,
        takes=takes,
        records=records,
        pages=looks.process.times,
        late99=1000 * quantile(drivers.late, 0.99),
        script=load.slowest,
        scripts=load.summary(round(load.seconds)),
        rack=rack,
        rack_messages=rack_messages,
        handed_on=handed_on,
        back=back,
    )


class Looks:
    """Somebody who looks at each page of the dashboard again and again. A context manager."""

    def __init__(self, fleet: LocalFleet, batch: Batch) -> None:
        self.process, self._batch, self._ended = DashboardProcess(fleet), batch.name, Event()
        self._thread = Thread(target=self._look, daemon=True)

    def __enter__(self) -> "Looks":
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.end()

    def end(self) -> None:
        """Look no more."""
        self._ended.set()
        self._thread.join()

    def _look(self) -> None:
        while not self._ended.wait(LOOK_SECONDS):
            self.process.look(self._batch)


def _live() -> int:
    return len(WorkerRegistry(client(), settings()).workers())


def _pending(mark: str) -> dict[str, int]:
    """How many messages each consumer holds whose name contains `mark`."""
    pending: dict[str, int] = {}
    for level in range(10):
        key = f"gm1:q:cpu:{level}"
        if not client().exists(key):
            continue
        for group in client().xinfo_groups(key):
            for consumer in client().xpending(key, group["name"])["consumers"]:
                if mark in consumer["name"]:
                    pending[consumer["name"]] = pending.get(consumer["name"], 0) + consumer["pending"]
    return pending


def _rack_dies(drivers: Drivers) -> tuple[int, int, float]:
    """Kill the rack: how many messages it held, how many of these left it, and after how many seconds the last one."""
    mark = drivers.kill_rack()
    before = sum(_pending(mark).values())
    back = _seconds_until(lambda: not _pending(mark), RACK_SECONDS)
    return before, before - sum(_pending(mark).values()), back


def _seconds_until(condition: Callable[[], bool], seconds: float) -> float:
    """How many seconds it takes until something holds.

    Raises:
        RuntimeError: it does not within `seconds` seconds.
    """
    started_at = time.monotonic()
    until(condition, seconds, "the fleet as it should be", pause=0.05, error=RuntimeError)
    return time.monotonic() - started_at


def _probed(worker: SimulatedWorker, seconds: float) -> tuple[list[float], list[float]]:
    """How long takes last, and records, in seconds; what the takes bring runs at once."""
    task, takes, records, end = catalog.find("noop"), list[float](), list[float](), time.monotonic() + seconds
    while time.monotonic() < end:
        started_at = time.perf_counter()
        tags = worker.take(1)
        if tags:
            takes.append(time.perf_counter() - started_at)
        for tag in tags:
            chunk = worker.chunks[tag]
            if work := worker.ledger.take(chunk, worker.id):
                outcomes = list(map(ItemRunner(work, task, "probe"), work.items))
                started_at = time.perf_counter()
                worker.ledger.record(chunk, outcomes, HOLD, worker.id)
                records.append(time.perf_counter() - started_at)
            worker.acknowledge(tag)
        time.sleep(1 / PROBES)
    return takes, records
