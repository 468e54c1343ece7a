"""A visit: one side with a server, a worker and a producer of its own, measured once."""

import json
import os
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

from redis import Redis

from benchmarks.ab.checkout import Checkout
from benchmarks.ab.processes import Program, cores
from benchmarks.peers.peer import APPS
from benchmarks.peers.tally import Tally
from benchmarks.server_load import cpu_seconds

HERE = Path(__file__).parent
#: Items that a worker runs before anything is measured, and when its memory is looked at.
AHEAD = 1_000
START_SECONDS = 60.0


@dataclass(frozen=True, slots=True)
class Figure:
    """One figure of a visit; less is better."""

    name: str
    unit: str


@dataclass(frozen=True, slots=True)
class VisitSize:
    """Items of the batch, batches of one item, plain tasks."""

    items: int = 100_000
    singles: int = 30
    tasks: int = 2_000


FIGURES = (
    Figure("batch: CPU of the worker an item", "µs"),
    Figure("batch: CPU of the server an item", "µs"),
    Figure("batch: CPU of the producer an item", "µs"),
    Figure("plain: CPU of the worker a task", "µs"),
    Figure("plain: CPU of the server a task", "µs"),
    Figure("plain: CPU of the producer a task", "µs"),
    Figure("one item: from submit to its result", "ms"),
    Figure("a slot: memory of its own (USS)", "MiB"),
    Figure("a slot: memory with its share (PSS)", "MiB"),
    Figure("a worker: threads of its main process", ""),
    Figure("a worker: connections", ""),
)
Figures = dict[str, float]


class Visit:
    """The programs of one side, which share a home and a server."""

    def __init__(self, side: Checkout, home: Path, stack: ExitStack) -> None:
        self._side, self._home, self._stack = side, home, stack
        self._workers_core, self._others_core = cores()
        (home / "tally").mkdir()
        #: Of plain tasks.
        self.tally = Tally(home / "tally")
        unset = ("GRISTMILL_", "PYTHON", "VIRTUAL_ENV")
        self._environ = {
            **{name: value for name, value in os.environ.items() if not name.startswith(unset)},
            "GRISTMILL_HOME": str(home / "home"),
            "GRISTMILL_LOG_LEVEL": "error",
            "BENCH_TALLY": str(home / "tally"),
            "PYTHONPATH": f"{HERE}{os.pathsep}{APPS}",
        }
        self._start("-P", "-m", "gristmill.server", core=self._others_core)
        url = json.loads(self._until(self._server_file)).get("url")
        self._environ["BENCH_URL"] = url
        self.server = stack.enter_context(Redis.from_url(url))
        self.producer = self._start(str(HERE / "probe.py"), core=self._others_core)

    def worker(self, *arguments: str) -> Program:
        """Start a worker."""
        return self._start(*arguments, core=self._workers_core)

    def _start(self, *arguments: str, core: int) -> Program:
        program = Program([str(self._side.python), *arguments], self._environ, self._home, core)
        self._stack.callback(program.end)
        return program

    def _server_file(self) -> str:
        path = self._home / "home" / "server.json"
        return path.read_text() if path.exists() else ""

    def _until(self, ready: Callable[[], str]) -> str:
        deadline = time.monotonic() + START_SECONDS
        while not (text := ready()):
            if time.monotonic() > deadline:
                raise RuntimeError(f"the server of {self._side.name} does not start: {self.log()}")
            time.sleep(0.02)
        return text

    def log(self) -> str:
        """The end of what its programs have written."""
        return (self._home / "log").read_text(errors="replace")[-2_000:]


@contextmanager
def _visit(side: Checkout) -> Iterator[Visit]:
    with tempfile.TemporaryDirectory(prefix="ab-", ignore_cleanup_errors=True) as directory, ExitStack() as stack:
        yield Visit(side, Path(directory), stack)


def figures(side: Checkout, size: VisitSize) -> Figures:
    """The figures of one visit, by the names of FIGURES.

    Raises:
        RuntimeError: a program of this side does not start, or fails.
        Stalled: plain tasks were sent and are not done.
    """
    with _visit(side) as visit:
        return {row.name: figure for row, figure in zip(FIGURES, _measured(visit, size), strict=True)}


def _measured(visit: Visit, size: VisitSize) -> list[float]:
    worker = visit.worker("-P", "-m", "gristmill.worker", "cpu", "--slots", "1")
    visit.producer.ask("batch", AHEAD)
    own, shared = worker.slot()
    counts = [worker.threads(), worker.connections()]
    batch = _cpu(visit, worker, size.items, lambda: visit.producer.ask("batch", size.items)["cpu"])
    single = 1000 * visit.producer.ask("singles", size.singles)["median"]
    worker.end()
    return [*batch, *_plain(visit, size.tasks), single, own, shared, *counts]


def _plain(visit: Visit, tasks: int) -> list[float]:
    """CPU of a plain task as in `_cpu`: a queue is filled, then a worker drains it; its first tasks do not count."""
    visit.producer.ask("plain", AHEAD)
    before = cpu_seconds(visit.server)
    produced = visit.producer.ask("plain", tasks)["cpu"] / tasks
    put = (cpu_seconds(visit.server) - before) / tasks
    command = "-m celery -A plain_app worker -Q plain -l error -P threads -c 4"
    worker = visit.worker(*command.split(), "--without-mingle", "--without-gossip", "--without-heartbeat")
    done = visit.tally.until(AHEAD)
    left = AHEAD + tasks - done
    used, drained, _ = _cpu(visit, worker, left, lambda: visit.tally.until(AHEAD + tasks))
    return [used, 1e6 * put + drained, 1e6 * produced]


def _cpu(visit: Visit, worker: Program, count: int, run: Callable[[], float]) -> list[float]:
    """CPU of the worker, of the server and of the producer while `run` lasts, in µs for each of `count`."""
    server, used = cpu_seconds(visit.server), worker.cpu()
    produced = run()
    seconds = (worker.cpu() - used, cpu_seconds(visit.server) - server, produced)
    return [1e6 * each / count for each in seconds]
