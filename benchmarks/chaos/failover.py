"""Failovers by Sentinel under batches and plain messages: what was confirmed has to survive each of them.

Publishers put plain messages on queues that nobody takes from, and producers submit batches, which workers run and
readers read. In each round the primary is killed, dies in the middle of a reply, is stopped or cut off, or comes back
empty, and another server takes its place. Then the books of the last two rounds are compared with what the new primary
has.
"""

import os
import random
import signal
import sys
import threading
import time
import traceback
from collections import Counter
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

from celery import Celery
from kombu.exceptions import OperationalError
from redis.exceptions import RedisError

import gristmill.broker  # noqa: F401 - adds the schemes
from benchmarks.chaos.books import ITEMS, PATIENCE, Books
from benchmarks.chaos.count import Count
from benchmarks.chaos.fleet import Fleet
from benchmarks.chaos.group import Node, ServerGroup
from benchmarks.chaos.options import Options
from benchmarks.polling import until
from gristmill import open_batch, submit
from gristmill.batches.result import Result
from gristmill.broker.address import from_redis
from gristmill.broker.enqueue import enqueue_many
from gristmill.config.settings import use
from gristmill.errors import GristmillError
from gristmill.producer.worker_checks import live_workers
from gristmill.server.waiting import Deadline

FAULTS = ("cut", "kill", "freeze", "empty", "reply")
#: Seconds that the clocks of the three servers are ahead.
CLOCKS = (0, 3600, -3600)
#: Threads that publish one message a call, and that publish lots; messages of a lot; producers.
SINGLES, LOTS, LOT, PRODUCERS = 130, 2, 1000, 3
#: The fewest messages of single calls whose caller waits for an answer LOOK seconds after a fault.
UNANSWERED, LOOK = 100, 0.3
#: What a call may raise at a fault.
EXPECTED = (RedisError, OperationalError, GristmillError, OSError)
#: Seconds before a fault, and after the servers are whole again.
BEFORE, AFTER = 1.0, 0.3


class Callers:
    """The threads that publish, submit and read, into the books of the current round."""

    def __init__(self, url: str) -> None:
        self.books = Books(0)
        self.unanswered = 0
        #: Calls that raised, by the error's name: nobody was told that they succeeded.
        self.uncertain: Counter[str] = Counter()
        #: Where a call raised for the first time what is no error of the product's or of a server's.
        self.surprises: dict[str, str] = {}
        self._numbers, self._lock = iter(range(sys.maxsize)), threading.Lock()
        self._stop, self._go = threading.Event(), threading.Event()
        self._busy = 0
        self._app = Celery("parked", broker=from_redis(url), set_as_current=False)
        self._app.conf.update(broker_pool_limit=SINGLES + LOTS + 5, task_default_queue="parked")
        self._task = self._app.task(name="parked")(_parked)
        calls = [(self._single, SINGLES), (self._lot, LOTS), (self._batch, PRODUCERS)]
        each = [call for call, number in calls for _ in range(number)]
        self._threads = [threading.Thread(target=self._loop, args=(call,), daemon=True) for call in each]

    def start(self) -> None:
        """Begin."""
        self._go.set()
        for thread in self._threads:
            thread.start()

    def hold(self) -> Books:
        """Have every call end, and return the books of the round."""
        self._go.clear()
        until(lambda: self._busy == 0, PATIENCE, "the end of every call")
        return self.books

    def next_round(self, number: int) -> None:
        """Go on with new books."""
        self.books = Books(number)
        self._go.set()

    def stop(self) -> None:
        """End the threads."""
        self._stop.set()
        self._go.set()
        for thread in self._threads:
            thread.join(PATIENCE)

    def _loop(self, call: Callable[[Books], None]) -> None:
        while not self._stop.is_set():
            self._go.wait()
            with self._lock:
                self._busy += 1
            try:
                if self._go.is_set() and not self._stop.is_set():
                    call(self.books)
            except Exception as error:
                name = type(error).__name__
                self.uncertain[name] += 1
                if not isinstance(error, EXPECTED):
                    self.surprises.setdefault(name, traceback.format_exc())
                time.sleep(0.02)
            finally:
                with self._lock:
                    self._busy -= 1

    def _next(self, number: int) -> list[int]:
        with self._lock:
            return [next(self._numbers) for _ in range(number)]

    def _single(self, books: Books) -> None:
        [number] = self._next(1)
        with self._lock:
            self.unanswered += 1
        try:
            self._task.apply_async((number,), queue=books.queue)
        finally:
            with self._lock:
                self.unanswered -= 1
        with books.lock:
            books.messages.append(number)

    def _lot(self, books: Books) -> None:
        numbers = self._next(LOT)
        enqueue_many(self._task, [(number,) for number in numbers], queue=books.queue)
        with books.lock:
            books.messages += numbers

    def _batch(self, books: Books) -> None:
        [number] = self._next(1)
        name = f"batch{number}"
        submit("pause", [0] * ITEMS, name=name)
        results: dict[int, Result] = {}
        with books.lock:
            books.batches[name] = results
        # A reader that is told nothing new for long gives up: the books have what it was shown.
        with suppress(TimeoutError):
            for result in open_batch(name).results(max_wait=PATIENCE / 2):
                results[result.index] = result


def _parked(number: int) -> int:
    """Never called: nobody takes the messages."""
    return number


def play(options: Options, count: Count, directory: Path, *, replicas: int, fsync: str = "always") -> None:
    """Fill in `count` for as many failovers as `options` say, with confirmation by `replicas` replicas.

    `fsync` is the appendfsync of all three servers.
    """
    luck = random.Random(f"{options.seed} failover")
    started_at = time.monotonic()
    with ServerGroup(directory, fsync=fsync, clocks=CLOCKS) as group:
        names = {
            "redis_url": group.url,
            "confirm_replicas": str(replicas),
            "lease_seconds": str(options.lease),
            "home": str(directory / "home"),
        }
        use(dict(names))
        fleet = Fleet(lambda _: [sys.executable, "-m", "gristmill.worker", "io"], environ(names), directory)
        load = Callers(group.url)
        try:
            fleet.start(options.workers)
            until(lambda: len(live_workers()) >= options.workers, PATIENCE, "the workers")
            load.start()
            _rounds(group, load, count, luck, options)
        except TimeoutError as error:
            count.broken.append(str(error))
        finally:
            load.stop()
            fleet.end()
    if not replicas:
        # Losses are what this run is for: it shows that the others could have had some.
        count.broken = []
    count.broken += [f"a caller got {name}" for name in load.surprises]
    count.seconds = round(time.monotonic() - started_at, 1)


def environ(names: dict[str, str]) -> dict[str, str]:
    """The environment of a worker with these settings, by field."""
    ours = {f"GRISTMILL_{name.upper()}": value for name, value in names.items()}
    return {**os.environ, **ours, "GRISTMILL_IO_SLOTS": "16"}


def _rounds(group: ServerGroup, load: Callers, count: Count, luck: random.Random, options: Options) -> None:
    earlier: Books | None = None
    deadline = Deadline(options.within)
    for number in range(options.kills or 0):
        if deadline.over:
            break
        time.sleep(BEFORE * luck.uniform(0.5, 1.5))
        fault = FAULTS[(options.seed + number) % len(FAULTS)]
        began_at = time.monotonic()
        unanswered = _fail_over(group, fault, load)
        count.unanswered = min(count.unanswered or unanswered, unanswered)
        count.faults[fault] = count.faults.get(fault, 0) + 1
        count.recoveries.append(round(time.monotonic() - began_at, 2))
        time.sleep(AFTER)
        books = load.hold()
        for each in filter(None, (earlier, books)):
            each.check(count)
        if earlier:
            earlier.close(count)
        earlier = books
        count.kills += 1
        load.next_round(number + 1)
    for each in filter(None, (load.hold(), earlier)):
        each.close(count)
    sys.stderr.write(f"calls that raised: {dict(load.uncertain)}\n")
    sys.stderr.writelines(load.surprises.values())
    if count.unanswered is not None and count.unanswered < UNANSWERED:
        count.broken.append(f"only {count.unanswered} calls were unanswered at a fault")


def _fail_over(group: ServerGroup, fault: str, load: Callers) -> int:
    """One failover, to its end: the old primary is a replica again. Returns how many calls it left unanswered."""
    act: dict[str, Callable[[], Node]] = {"freeze": group.freeze, "cut": group.cut, "reply": group.die_in_a_reply}
    node = act.get(fault, group.kill)()
    time.sleep(LOOK)
    unanswered = load.unanswered
    group.wait_for_another(node)
    if fault == "freeze":
        node.send(signal.SIGCONT)
    elif fault == "cut":
        # The old primary goes on answering its clients for as long as nobody tells it.
        group.heal(node)
    else:
        node.start(empty=fault == "empty")
    group.wait_until_whole()
    return unanswered
