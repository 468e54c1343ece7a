"""Drives many simulated workers from one process: what they do again and again, takes, records, each when it is due."""

import heapq
import itertools
import random
import selectors
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

from redis import Redis

from benchmarks.scale.worker import SimulatedWorker, Turn
from gristmill.batches.chunk import Work
from gristmill.fleet.worker_id import node_name
from gristmill.server.connection import connect
from gristmill.tasks import catalog
from gristmill.worker.heartbeat import HEARTBEAT_SECONDS
from gristmill.worker.slot.item_runner import ItemRunner


@dataclass(slots=True)
class Driver:
    """Workers whose slots hold each chunk for about `hold` seconds; they join within `storm` seconds."""

    numbers: Sequence[int]
    slots: int
    hold: float
    storm: float
    #: Seconds by which each call came after it was due.
    late: list[float] = field(default_factory=list)
    _due: list[tuple[float, int, Callable[[], None]]] = field(default_factory=list)
    _count: Any = field(default_factory=itertools.count)
    _selector: selectors.BaseSelector = field(default_factory=selectors.DefaultSelector)
    _reading: set[str] = field(default_factory=set)
    _random: random.Random = field(default_factory=lambda: random.Random(1))

    def run(self, ended: Callable[[], bool]) -> None:
        """Let the workers join, and drive them until `ended`."""
        client, now = connect(), time.monotonic()
        for number in self.numbers:
            worker = self._worker(number, client)
            self._at(now + self._random.uniform(0, self.storm), lambda worker=worker: self._join(worker))
        while not ended():
            timeout = max(0.0, min(0.2, self._due[0][0] - time.monotonic()))
            for key, _ in self._selector.select(timeout):
                self._receive(key.data)
            now = time.monotonic()
            while self._due[0][0] <= now:
                moment, _, call = heapq.heappop(self._due)
                self.late.append(now - moment)
                call()

    def _at(self, moment: float, call: Callable[[], None]) -> None:
        heapq.heappush(self._due, (moment, next(self._count), call))

    def _each(self, seconds: float, call: Callable[[], None]) -> None:
        """Make a call every so many seconds, but never several to catch up."""

        def again() -> None:
            began = time.monotonic()
            call()
            self._at(began + seconds, again)

        self._at(time.monotonic() + seconds, again)

    def _worker(self, number: int, client: Redis) -> SimulatedWorker:
        return SimulatedWorker(number, self.slots, client, schedule=self._repeat)

    def _repeat(self, turn: Turn) -> None:
        """Make a call of a heartbeat now, and then when it says so."""

        def again() -> None:
            began = time.monotonic()
            seconds = turn()
            if seconds is not None:
                self._at(began + seconds, again)

        self._at(time.monotonic(), again)

    def _join(self, worker: SimulatedWorker) -> None:
        worker.join()
        self._each(HEARTBEAT_SECONDS, worker.heartbeat)
        self._selector.register(worker.connection._sock, selectors.EVENT_READ, worker)
        for tag in list(worker.chunks):
            self._start(worker, tag)
        self._ask(worker)

    def _ask(self, worker: SimulatedWorker) -> None:
        if worker.room > 0 and worker.id not in self._reading:
            self._reading.add(worker.id)
            worker.request()

    def _receive(self, worker: SimulatedWorker) -> None:
        tags = worker.receive()
        self._reading.discard(worker.id)
        for tag in tags:
            self._start(worker, tag)
        self._ask(worker)

    def _start(self, worker: SimulatedWorker, tag: str) -> None:
        work = worker.ledger.take(worker.chunks[tag], worker.id)
        if work is None:
            worker.acknowledge(tag)
            return
        seconds = self.hold * self._random.uniform(0.5, 1.5)
        self._at(time.monotonic() + seconds, lambda: self._finish(worker, tag, work, seconds))

    def _finish(self, worker: SimulatedWorker, tag: str, work: Work, seconds: float) -> None:
        task, node = catalog.find(work.task), node_name(worker.id)
        outcomes = list(map(ItemRunner(work, task, node), work.items))
        worker.ledger.record(worker.chunks[tag], outcomes, seconds, worker.id)
        worker.acknowledge(tag)
        self._ask(worker)
