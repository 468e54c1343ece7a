"""Many live batches: what an item, a second without work and a look at the list cost while they stand."""

import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from benchmarks.scale.worker import SimulatedWorker
from benchmarks.server_load import server_load
from gristmill import submit
from gristmill.batches.chunk import Chunk, Outcome
from gristmill.config.settings import settings
from gristmill.server.connection import client, connect
from gristmill.worker.runner import Runner

WORKERS, SLOTS, ITEMS = 2, 2, 20


@dataclass(frozen=True, slots=True)
class Live:
    """What `batches` live batches cost: server CPU of an item in µs, of a second without work in ms; scripts in ms.

    `items` that more batches of ITEMS learnt items had went through in `seconds`; `listing` is the time of
    `gristmill batches`; `scripts` says where the scripts' time went.
    """

    batches: int
    items: int
    seconds: float
    item: float
    quiet: float
    script: float
    script_name: str
    listing: float
    scripts: str


class Heartbeats:
    """Sends the heartbeats of simulated workers from a thread, as often as `every` says, in seconds."""

    def __init__(self, workers: Sequence[SimulatedWorker]) -> None:
        self._workers = workers
        self.every = 1.0
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._run, daemon=True)

    def __enter__(self) -> "Heartbeats":
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._ended.set()
        self._thread.join()

    def _run(self) -> None:
        while not self._ended.wait(self.every):
            for worker in self._workers:
                worker.heartbeat()


class Flow:
    """Submits batches one after the other ahead of all that stand, and runs them."""

    def __init__(self, worker: SimulatedWorker) -> None:
        self._worker = worker
        self._runner = Runner(worker.ledger, settings())
        self._batch, self._done = "", 0
        for name in ("record", "record_and_go_on"):
            setattr(worker.ledger, name, self._counted(getattr(worker.ledger, name)))

    def run(self) -> None:
        """Submit one batch and run it to its end."""
        self._done = 0
        self._batch = submit("noop", range(ITEMS), priority=0).name
        while self._done < ITEMS:
            for tag in self._worker.take(1):
                self._runner.run(self._worker.chunks[tag], self._worker.id)
                self._worker.acknowledge(tag)

    def _counted(self, record: Callable[..., Any]) -> Callable[..., Any]:
        def counted(chunk: Chunk, outcomes: Sequence[Outcome], *arguments: Any, **options: Any) -> Any:
            answer = record(chunk, outcomes, *arguments, **options)
            self._done += len(outcomes) if chunk.batch == self._batch else 0
            return answer

        return counted


@contextmanager
def _fleet() -> Iterator[tuple[Heartbeats, Flow]]:
    beats = connect()
    workers = [SimulatedWorker(number, SLOTS, beats) for number in range(WORKERS)]
    for worker in workers:
        worker.join()
    with Heartbeats(workers) as heartbeats:
        # Its runs go over a client of their own, as a pool process's do.
        yield heartbeats, Flow(SimulatedWorker(0, SLOTS, client()))


def measure(sizes: Sequence[int], batches: int, seconds: float) -> Iterator[Live]:
    """Each of `sizes` in turn: so many batches stand, up to `batches` more flow through for up to `seconds` seconds."""
    with _fleet() as (heartbeats, flow):
        flow.run()
        standing = 0
        for size in sorted(sizes):
            heartbeats.every = 5.0
            for number in range(standing, size):
                submit("noop", range(ITEMS), name=f"standing-{number}")
            standing, heartbeats.every = size, 1.0
            yield _look(size, flow, batches, seconds)


def _look(size: int, flow: Flow, batches: int, seconds: float) -> Live:
    # The last pause of the heartbeats' thread may have been a long one.
    time.sleep(5)
    with server_load(client()) as quiet:
        time.sleep(5)
    until, count = time.monotonic() + seconds, 0
    with server_load(client()) as load:
        while count < batches and time.monotonic() < until:
            flow.run()
            count += 1
    started_at = time.perf_counter()
    subprocess.run([sys.executable, "-m", "gristmill", "batches"], check=True, stdout=subprocess.DEVNULL)
    listing = time.perf_counter() - started_at
    script, name = max((each.longest, each.longest_name) for each in (quiet, load))
    items = count * ITEMS
    quiet_ms = 1e3 * quiet.cpu / quiet.seconds
    return Live(size, items, load.seconds, 1e6 * load.cpu / items, quiet_ms, script, name, listing, load.summary(items))
