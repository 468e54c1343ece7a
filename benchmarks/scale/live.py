"""Many live batches: what an item, a second without work and a look at the list cost while they stand."""

import logging
import math
import os
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from typing import Any

from redis.exceptions import RedisError

from benchmarks.ab.processes import cores
from benchmarks.scale.worker import SimulatedWorker
from benchmarks.server_load import server_load
from gristmill import submit
from gristmill.batches.chunk import Chunk, Outcome
from gristmill.config.settings import settings
from gristmill.errors import InputError, ServerError
from gristmill.server.connection import client, connect
from gristmill.worker.slot.runner import Runner

WORKERS, SLOTS, ITEMS = 2, 2, 20

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Live:
    """What `batches` live batches cost: server CPU of an item in µs, of a second without work in ms; scripts in ms.

    `script` is the longest while items run, `quiet_script` the longest while nothing but heartbeats comes.
    `items` that more batches of ITEMS learnt items had went through in `seconds`; `listing` is the time of
    `gristmill batches`; `scripts` says where the scripts' time went. `errors` counts batches of the flow that were
    given up because the server refused a call.
    """

    batches: int
    items: int
    seconds: float
    item: float
    quiet: float
    script: str
    quiet_script: str
    listing: float
    scripts: str
    errors: int


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
                # As real workers do, it goes on when the server refuses.
                with suppress(RedisError):
                    worker.heartbeat()


class Flow:
    """Submits batches one after the other ahead of all that stand, and runs them; a server that is busy may refuse."""

    def __init__(self, worker: SimulatedWorker) -> None:
        self._worker = worker
        self._runner = Runner(worker.ledger, settings())
        self._batch, self._done = "", 0
        #: Items that were recorded, and batches that were given up because the server refused a call.
        self.items = self.errors = 0
        for name in ("record", "record_and_go_on"):
            setattr(worker.ledger, name, self._counted(getattr(worker.ledger, name)))

    def run(self) -> None:
        """Submit one batch and run it to its end, or until the server refuses a call."""
        try:
            self._run()
        except (RedisError, ServerError) as error:
            log.info("gave up a batch: %s", error)
            self.errors += 1

    def _run(self) -> None:
        self._done = 0
        self._batch = submit("noop", range(ITEMS), priority=0).name
        while self._done < ITEMS:
            for tag in self._worker.take(1):
                self._runner.run(self._worker.chunks[tag], self._worker.id)
                self._worker.acknowledge(tag)

    def _counted(self, record: Callable[..., Any]) -> Callable[..., Any]:
        def counted(chunk: Chunk, outcomes: Sequence[Outcome], *arguments: Any, **options: Any) -> Any:
            answer = record(chunk, outcomes, *arguments, **options)
            number = len(outcomes) if chunk.batch == self._batch else 0
            self._done, self.items = self._done + number, self.items + number
            return answer

        return counted


@contextmanager
def _apart() -> Iterator[None]:
    """The server on one core, and all that this process does on another one."""
    usable, (own, servers) = os.sched_getaffinity(0), cores()
    os.sched_setaffinity(client().info("server")["process_id"], {servers})
    os.sched_setaffinity(0, {own})
    try:
        yield
    finally:
        os.sched_setaffinity(0, usable)


@contextmanager
def _fleet() -> Iterator[tuple[Heartbeats, Flow]]:
    beats = connect()
    workers = [SimulatedWorker(number, SLOTS, beats) for number in range(WORKERS)]
    for worker in workers:
        worker.join()
    with Heartbeats(workers) as heartbeats:
        # Its runs go over a client of their own, as a pool process's do.
        yield heartbeats, Flow(SimulatedWorker(0, SLOTS, client()))


def stand(name: str, task: str = "noop") -> None:
    """Submit a batch that stands."""
    while True:
        try:
            submit(task, range(ITEMS), name=name)
        except (RedisError, ServerError, InputError) as error:
            log.info("submitting %s again: %s", name, error)
            time.sleep(0.5)
        else:
            return


def measure(sizes: Sequence[int], batches: int, seconds: float, stand: Callable[[str], None] = stand) -> Iterator[Live]:
    """Each of `sizes` in turn: so many batches stand, up to `batches` more flow through for up to `seconds` seconds.

    `stand` submits what stands. The server has a core for itself where there are two: a script that waits for a core
    looks long.
    """
    with _apart(), _fleet() as (heartbeats, flow):
        flow.run()
        standing = 0
        for size in sorted(sizes):
            heartbeats.every = 5.0
            for number in range(standing, size):
                stand(f"standing-{number}")
            standing, heartbeats.every = size, 1.0
            yield _look(size, flow, batches, seconds)


def _look(size: int, flow: Flow, batches: int, seconds: float) -> Live:
    # The last pause of the heartbeats' thread may have been a long one.
    time.sleep(5)
    with server_load(client()) as quiet:
        time.sleep(5)
    until, count = time.monotonic() + seconds, 0
    flow.items = flow.errors = 0
    with server_load(client()) as load:
        while count < batches and time.monotonic() < until:
            flow.run()
            count += 1
    started_at = time.perf_counter()
    listed = subprocess.run([sys.executable, "-m", "gristmill", "batches"], check=False, capture_output=True)
    listing = time.perf_counter() - started_at if listed.returncode == 0 else math.inf
    items = max(1, flow.items)
    return Live(
        batches=size,
        items=flow.items,
        seconds=load.seconds,
        item=1e6 * load.cpu / items,
        quiet=1e3 * quiet.cpu / quiet.seconds,
        script=load.slowest,
        quiet_script=quiet.slowest,
        listing=listing,
        scripts=load.summary(items),
        errors=flow.errors,
    )
