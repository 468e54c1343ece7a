"""A visit: one side with a server, workers and a producer of its own, which are measured while they live."""

import json
import os
import tempfile
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from redis import Redis

from benchmarks.ab.checkout import Checkout
from benchmarks.ab.processes import Program, cores
from benchmarks.peers.peer import APPS
from benchmarks.peers.tally import Tally
from benchmarks.polling import until
from benchmarks.server_load import cpu_seconds

HERE = Path(__file__).parent
#: Items that a worker runs before anything is measured, and when its memory is looked at.
AHEAD = 1_000
START_SECONDS = 60.0
ROLES = ("worker", "server", "producer")


@dataclass(frozen=True, slots=True)
class Figure:
    """One figure of a side; less is better."""

    name: str
    unit: str = ""


@dataclass(frozen=True, slots=True)
class VisitSize:
    """How often a round measures each, by turns; short items, items that compute, batches of one item, plain tasks."""

    turns: int = 10
    items: int = 40_000
    computed: int = 1_000
    singles: int = 8
    tasks: int = 500


Figures = dict[str, float]


class Visit:
    """The programs of one side, which share a home and a server."""

    def __init__(self, side: Checkout, home: Path, stack: ExitStack) -> None:
        self._side, self._home, self._stack = side, home, stack
        self._workers_core, self._others_core = cores()
        (home / "tally").mkdir()
        #: Of plain tasks.
        self._tally, self._tasks = Tally(home / "tally"), 0
        unset = ("GRISTMILL_", "PYTHON", "VIRTUAL_ENV")
        self._environ = {
            **{name: value for name, value in os.environ.items() if not name.startswith(unset)},
            "GRISTMILL_HOME": str(home / "home"),
            "GRISTMILL_LOG_LEVEL": "error",
            "GRISTMILL_TASK_MODULES": "deep_task",
            "BENCH_TALLY": str(home / "tally"),
            "PYTHONPATH": f"{HERE}{os.pathsep}{APPS}",
        }
        self._start("-P", "-m", "gristmill.server", core=self._others_core)
        url = self._server_url()
        self._environ["BENCH_URL"] = url
        self.server = stack.enter_context(Redis.from_url(url))
        self.producer = self._start(str(HERE / "probe.py"), core=self._others_core)
        self.worker = self._start("-P", "-m", "gristmill.worker", "cpu", "--slots", "1", core=self._workers_core)

    def settle(self) -> None:
        """Run items until the worker is up, and knows how long an item takes."""
        self.producer.ask("batch", AHEAD)

    @cached_property
    def plain_worker(self) -> Program:
        """The worker of plain tasks, which has run some."""
        command = "-m celery -A plain_app worker -Q plain -l error -P threads -c 4 --without-mingle --without-gossip"
        worker = self._start(*command.split(), "--without-heartbeat", core=self._workers_core)
        self.producer.ask("plain", AHEAD)
        self._tasks += AHEAD
        self._tally.until(self._tasks)
        return worker

    def batch(self, size: VisitSize) -> list[float]:
        """CPU of an item, in µs: of the worker, the server and the producer."""
        return self._cpu(self.worker, size.items, lambda: self.producer.ask("batch", size.items)["cpu"])

    def fibonacci(self, size: VisitSize) -> list[float]:
        """CPU of the worker for an item that computes, in µs."""
        return self._cpu(self.worker, size.computed, lambda: self.producer.ask("deep", size.computed)["cpu"])[:1]

    def single(self, size: VisitSize) -> list[float]:
        """The time from submit to the result of a batch of one item, in ms."""
        return [1000 * self.producer.ask("singles", size.singles)["median"]]

    def plain(self, size: VisitSize) -> list[float]:
        """CPU of a plain task, in µs: of the worker, the server and the producer. The worker drains a full queue."""
        before = cpu_seconds(self.server)
        with self.plain_worker.stopped():
            produced = self.producer.ask("plain", size.tasks)["cpu"]
            self._tasks += size.tasks
            put = cpu_seconds(self.server) - before
            used = self.plain_worker.cpu()
        before = cpu_seconds(self.server)
        self._tally.until(self._tasks)
        seconds = (self.plain_worker.cpu() - used, put + cpu_seconds(self.server) - before, produced)
        return [1e6 * each / size.tasks for each in seconds]

    def holdings(self, _: VisitSize) -> list[float]:
        """Memory of a slot (USS and PSS, MiB), threads and connections of a worker that has run AHEAD items."""
        return [*self.worker.slot(), self.worker.threads(), self.worker.connections()]

    def _cpu(self, worker: Program, count: int, run: Callable[[], float]) -> list[float]:
        server, used = cpu_seconds(self.server), worker.cpu()
        produced = run()
        seconds = (worker.cpu() - used, cpu_seconds(self.server) - server, produced)
        return [1e6 * each / count for each in seconds]

    def _start(self, *arguments: str, core: int) -> Program:
        program = Program([str(self._side.python), *arguments], self._environ, self._home, core)
        self._stack.callback(program.end)
        return program

    def _server_url(self) -> Any:
        path = self._home / "home" / "server.json"
        try:
            text = until(lambda: path.read_text() if path.exists() else None, START_SECONDS, "server.json")
        except TimeoutError:
            raise RuntimeError(f"the server of {self._side.name} does not start: {self.log()}") from None
        return json.loads(text).get("url")

    def log(self) -> str:
        """The end of what its programs have written."""
        return (self._home / "log").read_text(errors="replace")[-2_000:]


@contextmanager
def visit(side: Checkout) -> Iterator[Visit]:
    """One side, until the block ends.

    Raises:
        RuntimeError: its server does not start.
    """
    with tempfile.TemporaryDirectory(prefix="ab-", ignore_cleanup_errors=True) as directory, ExitStack() as stack:
        yield Visit(side, Path(directory), stack)


@dataclass(frozen=True, slots=True)
class Measure:
    """A way to get figures from a visit; `repeated` says whether a round does so at each turn."""

    name: str
    figures: tuple[Figure, ...]
    of: Callable[[Visit, VisitSize], list[float]]
    repeated: bool = True


MEASURES = (
    Measure(
        "worker",
        (
            Figure("a slot: memory of its own (USS)", "MiB"),
            Figure("a slot: memory with its share (PSS)", "MiB"),
            Figure("a worker: threads of its main process"),
            Figure("a worker: connections"),
        ),
        Visit.holdings,
        repeated=False,
    ),
    Measure("batch", tuple(Figure(f"batch: CPU of the {one} an item", "µs") for one in ROLES), Visit.batch),
    Measure("fibonacci", (Figure("fibonacci 20: CPU of the worker an item", "µs"),), Visit.fibonacci),
    Measure("plain", tuple(Figure(f"plain: CPU of the {one} a task", "µs") for one in ROLES), Visit.plain),
    Measure("single", (Figure("one item: from submit to its result", "ms"),), Visit.single),
)
FIGURES = tuple(figure for measure in MEASURES for figure in measure.figures)
