"""One scenario on one transport and pool while it runs: the load, the workers, what was done to them."""

import os
import random
import sys
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from types import TracebackType
from typing import Self, TypeVar

from benchmarks.chaos.fleet import Fleet, Worker
from benchmarks.chaos.journal import FILE, Journal
from benchmarks.chaos.kill import Kill
from benchmarks.chaos.options import Options
from benchmarks.chaos.publisher import Publisher
from benchmarks.chaos.wire import WIRES
from benchmarks.polling import until
from gristmill.server.private import PrivateServer
from gristmill.server.waiting import Deadline
from tests.support.forked import Forked

Happened = TypeVar("Happened")

QUEUE = "bench"
#: Slots of a worker, and messages that it takes ahead for each.
SLOTS = {"prefork": (2, 4), "threads": (10, 4)}
#: The load: with fewer waiting than the first, so many more are put.
LOW, MORE = 1000, 2000
#: Seconds for anything that has to happen before a run can go on.
PATIENCE = 120.0
#: Seconds without a beginning or an end after which what still stands is left; and these many leases.
QUIET_SECONDS, QUIET_LEASES = 20.0, 2.0
#: Seconds for which nothing may stand on the server before a run counts as settled: stock moves in two steps.
SETTLED_SECONDS = 1.5


class Stuck(RuntimeError):
    """A run cannot go on: what it waits for does not happen."""


class Run:
    """A server, a transport on it, workers of one pool, and a journal; everything ends with the context."""

    def __init__(
        self, server: PrivateServer, directory: Path, transport: str, pool: str, options: Options, luck: random.Random
    ) -> None:
        self.server, self.options, self.luck, self.pool, self.transport = server, options, luck, pool, transport
        self.directory = directory
        self.journal = Journal(directory / "journal")
        self.wire = WIRES[transport](server.url, QUEUE)
        self.kills: list[Kill] = []
        #: How many of these, the first ones, are known to be over.
        self._over = 0
        #: Tasks put so far; they are numbered from 0.
        self.submitted = 0
        #: Whether tasks are put for as long as the run asks for load.
        self.topped_up = True
        #: Whether these are copies of the first one: they cost the processors much less than a producer.
        self.copies = False
        self._deadline = Deadline(options.within)
        self._publisher: Publisher | None = None
        self.fleet = Fleet(self._command, self.environ(server.url), directory, Forked)

    def environ(self, url: str) -> dict[str, str]:
        """The environment of a process that uses the transport at `url`."""
        return {
            **os.environ,
            "BENCH_URL": url,
            "BENCH_TRANSPORT": self.transport,
            "BENCH_PREFETCH": str(SLOTS[self.pool][1]),
            "BENCH_TETHER": "1",
            FILE: str(self.journal.path),
            "GRISTMILL_LEASE_SECONDS": str(self.options.lease),
            "GRISTMILL_HOME": str(self.directory),
        }

    def _command(self, name: str) -> list[str]:
        plain = f"-m celery -A benchmarks.plain worker -Q {QUEUE} -l warning -P {self.pool} -c {SLOTS[self.pool][0]}"
        return [sys.executable, *plain.split(), "-n", f"{name}@chaos", "--without-mingle", "--without-gossip"]

    def workers(self, *extra: str, url: str | None = None, environ: Mapping[str, str] | None = None) -> None:
        """Have workers started with further arguments of Celery's, another address of the server, more environment."""
        base = self.environ(url or self.server.url)
        environ = {**base, **(environ or {})}
        self.fleet = Fleet(lambda name: [*self._command(name), *extra], environ, self.directory, Forked)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.fleet.__exit__(kind, error, trace)
        self.without_publisher()
        self.wire.close()

    def put(self, count: int, seconds: float | None = None) -> None:
        """Put tasks that take so long (default: as the options say)."""
        self.publish("work", count, self.options.seconds if seconds is None else seconds)

    def publish(self, task: str, count: int, *arguments: float) -> None:
        """Put tasks of `benchmarks/plain.py`, numbered on."""
        self._publisher = self._publisher or Publisher(self.environ(self.server.url))
        self._publisher.put(task, self.submitted, count, *arguments)
        self.submitted += count

    def copy(self, count: int) -> None:
        """Put tasks as the first one, which waits when this is called for the first time."""
        self.wire.multiply(self.submitted, count)
        self.submitted += count

    def without_publisher(self) -> None:
        """End the producer: the next task is put by another."""
        if self._publisher:
            self._publisher.close()
            self._publisher = None

    def load(self) -> None:
        """Keep enough waiting for whatever comes next."""
        if self.topped_up and self.wire.waiting() < LOW:
            (self.copy if self.copies else self.put)(MORE)

    def under_load(self, seconds: float) -> None:
        """Let so much time pass, with enough to do."""
        end = time.monotonic() + seconds
        while True:
            self.load()
            left = end - time.monotonic()
            if left <= 0:
                return
            time.sleep(min(left, 0.1))

    def goes_on(self, kills: int) -> bool:
        """Whether there were fewer faults than `kills`, and there is time for another."""
        return len(self.kills) < kills and not self._deadline.over

    def breathe(self) -> None:
        """Let the time pass that is between two faults, more or less."""
        self.under_load(self.luck.uniform(0.5, 1.5) * self.options.every)

    def until(self, happened: Callable[[], Happened], what: str, seconds: float = PATIENCE) -> Happened:
        """Poll, with the journal read, until it happened; what it answers.

        Raises:
            Stuck: it did not.
        """

        def look() -> Happened:
            self.journal.read()
            return happened()

        return until(look, seconds, what, pause=0.01, error=Stuck)

    def victims(self) -> list[Worker]:
        """The workers, other than the steady ones, that run something at this moment."""
        self.load()
        self.journal.read()
        return [each for each in self.fleet.workers[self.options.steady :] if self.journal.running(each.name)]

    def busy(self) -> Worker:
        """One of the victims.

        Raises:
            Stuck: there is none for a long time.
        """
        return self.luck.choice(self.until(self.victims, "a worker that runs something"))

    def kill(self, worker: Worker) -> None:
        """Kill a worker with all its processes; it counts if it had anything. Another one takes its place."""
        at = time.monotonic()
        worker.kill()
        self.journal.read()
        running = self.journal.running(worker.name)
        self.journal.forget(worker.name, running)
        self.hurt(at, running | self.wire.tasks_in_hand(worker.pid), worker.name)
        self.fleet.replace(worker)

    def hurt(self, at: float, tasks: set[int], worker: str | None = None, pid: int | None = None) -> None:
        """Note a fault, if anything was in flight where it struck."""
        if tasks:
            self.kills.append(Kill(at, frozenset(tasks), worker, pid))

    def shake(self, at: float, tasks: set[int]) -> None:
        """Note a fault that kills no worker, if anything was in flight: what has begun goes on, the rest comes back."""
        self.journal.read()
        if tasks:
            self.kills.append(Kill(at, frozenset(tasks - set(self.journal.beginnings))))

    def recovered(self) -> bool:
        """Whether all that was held in any fault has begun again."""
        dead = self.wire.dead()
        while self._over < len(self.kills) and not self.kills[self._over].open(self.journal, dead):
            self._over += 1
        return self._over == len(self.kills)

    def settle(self) -> None:
        """Wait until nothing stands on the server any more, or nothing happens any more."""
        quiet = QUIET_SECONDS + QUIET_LEASES * self.options.lease
        changed = settled = time.monotonic()
        while True:
            now = time.monotonic()
            if self.journal.read():
                changed = settled = now
            if not self.wire.empty():
                settled = now
            if now - settled > SETTLED_SECONDS or now - changed > quiet:
                return
            time.sleep(0.05)
