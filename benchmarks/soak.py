"""`python -m benchmarks.soak`: batches, plain calls, deaths and reconnects for an hour; nothing lost, nothing grows."""

import argparse
import json
import os
import random
import re
import signal
import statistics
import sys
import tempfile
import threading
import time
from collections.abc import Sequence
from contextlib import ExitStack, suppress
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import psutil
from redis import Redis
from redis.exceptions import RedisError

from benchmarks.chaos.fleet import Fleet, Worker
from benchmarks.options import at_least
from gristmill.config.settings import load, settings
from gristmill.errors import ServerError
from gristmill.server.home import Home
from gristmill.server.private import PrivateServer
from gristmill.server.waiting import Deadline

#: Workers by queue, with pool and slots. The first of each is never killed: what grows would show there.
WORKERS = {"cpu": ("prefork", 2), "io": ("threads", 8)}
#: Seconds between two samples, two deaths, and two cuts of all connections.
SAMPLE, DEATH, RECONNECT = 5.0, 20.0, 7.0
#: Items of a batch, calls of a lot, seconds that these may take.
ITEMS, CALLS, PATIENCE = (20, 400), 20, 120.0
#: What a figure may grow in the second half: a share of it, and an amount, which is that of its noise.
SHARE = 0.05
SLACK = {"server_mb": 2.0, "worker_mb": 3.0, "processes": 1, "connections": 3, "files": 4, "home_files": 1, "keys": 5}
#: The batch that a key belongs to.
OF_BATCH = re.compile(r"gm1:batch:([^:]+):")


@dataclass(frozen=True, slots=True)
class Sample:
    """What stands at a moment, of the server and of the workers that live through all.

    `keys` are those that do not expire and belong to no batch that stands, `expiring` all that expire; `files` are open
    descriptors, `home_files` files in the home. Memory is in MB.
    """

    seconds: float
    server_mb: float
    worker_mb: float
    processes: int
    connections: int
    files: int
    home_files: int
    keys: int
    expiring: int


@dataclass(slots=True)
class SoakCount:
    """What was done, and what is lost: items without a result, and calls without one."""

    batches: int = 0
    items: int = 0
    calls: int = 0
    lost: int = 0
    deaths: int = 0
    cuts: int = 0


class Soak:
    """A server and its workers, with load and faults from threads."""

    def __init__(self, stack: ExitStack, directory: Path, seed: int) -> None:
        self.directory, self.luck = directory, random.Random(seed)
        self.server = stack.enter_context(PrivateServer(Home(directory), load({})))
        os.environ |= {"GRISTMILL_REDIS_URL": self.server.url, "GRISTMILL_HOME": str(directory)}
        settings.cache_clear()
        self.client: Any = stack.enter_context(Redis.from_url(self.server.url, decode_responses=True))
        self.fleets = {queue: stack.enter_context(self._fleet(queue)) for queue in WORKERS}
        for fleet in self.fleets.values():
            fleet.start(2)
        self.tally, self.samples = SoakCount(), list[Sample]()
        #: The keys that the last sample counts.
        self.lasting: list[str] = []
        self.stopping = threading.Event()
        self.errors: list[BaseException] = []

    def _fleet(self, queue: str) -> Fleet:
        pool, slots = WORKERS[queue]
        words = f"-m celery --quiet -A gristmill.tasks.application worker -Q {queue} -P {pool} -c {slots} -l error"
        command = [sys.executable, *words.split(), "--without-mingle", "--without-gossip"]
        environ = {**os.environ, "BENCH_JOURNAL": os.devnull, "GRISTMILL_LEASE_SECONDS": "5"}
        folder = self.directory.parent / f"{self.directory.name}-logs-{queue}"
        folder.mkdir(exist_ok=True)
        return Fleet(lambda name: [*command, "-n", f"{name}-{queue}@soak"], environ, folder)

    @property
    def steady(self) -> list[Worker]:
        """The workers that nobody kills."""
        return [fleet.workers[0] for fleet in self.fleets.values()]

    def run(self, seconds: float) -> None:
        """Load, faults and samples for so long; then the last batches end."""
        started_at = time.monotonic()
        loads = [
            threading.Thread(target=self._guarded, args=(load,)) for load in (self._submit, self._submit, self._call)
        ]
        for thread in loads:
            thread.start()
        next_sample, next_death, next_cut = SAMPLE, DEATH, RECONNECT
        while (at := time.monotonic() - started_at) < seconds and not self.errors:
            if at > next_sample:
                self.samples.append(self._sample(at))
                next_sample += SAMPLE
            if at > next_death:
                self._kill()
                next_death += self.luck.uniform(0.5, 1.5) * DEATH
            if at > next_cut:
                self._cut()
                next_cut += self.luck.uniform(0.5, 1.5) * RECONNECT
            time.sleep(0.1)
        self.stopping.set()
        for thread in loads:
            thread.join()
        if self.errors:
            raise self.errors[0]

    def _guarded(self, load: Any) -> None:
        try:
            while not self.stopping.is_set():
                load()
        except BaseException as error:
            self.errors.append(error)

    def _submit(self) -> None:
        """A small batch: every item has its own result; then it is deleted."""
        from gristmill import submit

        count = self.luck.randint(*ITEMS)
        task, items = self.luck.choice([("fibonacci", [n % 20 for n in range(count)]), ("pause", [0.001] * count)])
        batch = submit(task, items, max_wait=PATIENCE)
        with suppress(TimeoutError):
            batch.wait(PATIENCE)
        results = sum(1 for _ in batch.results())
        self.tally.batches, self.tally.items = self.tally.batches + 1, self.tally.items + count
        self.tally.lost += count - results
        batch.delete()

    def _call(self) -> None:
        """Plain Celery calls with results."""
        from gristmill.tasks.pause import pause

        answers = [pause.delay(0.001) for _ in range(CALLS)]
        for answer in answers:
            self.tally.lost += not self._has_answer(answer)
            answer.forget()
        self.tally.calls += CALLS

    @staticmethod
    def _has_answer(answer: Any) -> bool:
        """Whether the call's result comes; Celery leaves it to its caller to ask again after a cut."""
        from celery.exceptions import TimeoutError as Late

        deadline = Deadline(PATIENCE)
        while not deadline.over:
            try:
                # It looks for a result first, and then waits for word of it, which a cut may take.
                answer.get(timeout=1)
            except (ServerError, OSError, Late):
                time.sleep(0.05)
            else:
                return True
        return False

    def _kill(self) -> None:
        fleet = self.luck.choice(list(self.fleets.values()))
        victim = fleet.workers[1]
        victim.kill()
        fleet.replace(victim)
        self.tally.deaths += 1

    def _cut(self) -> None:
        """Close every connection to the server."""
        with suppress(RedisError):
            self.client.client_kill_filter(_type="normal", skipme=True)
        self.tally.cuts += 1

    def _sample(self, at: float) -> Sample:
        """A sample; a new try if a process ends meanwhile, as those that run suspects do."""
        while True:
            with suppress(psutil.NoSuchProcess):
                return self._look(at)

    def _look(self, at: float) -> Sample:
        server = psutil.Process(self.server.pid)
        trees = [[psutil.Process(w.pid), *psutil.Process(w.pid).children(recursive=True)] for w in self.steady]
        processes = [process for tree in trees for process in tree]
        self.lasting, expiring = self._keys()
        return Sample(
            seconds=round(at, 1),
            server_mb=round(self.client.info("memory")["used_memory"] / 1e6, 2),
            worker_mb=round(sum(process.memory_info().rss for process in processes) / 1e6, 1),
            processes=len(processes),
            connections=sum(len(process.net_connections("tcp")) for process in processes),
            files=sum(process.num_fds() for process in processes) + server.num_fds() - len(self.client.client_list()),
            home_files=sum(1 for path in self.directory.rglob("*") if path.is_file()),
            keys=len(self.lasting),
            expiring=expiring,
        )

    def _keys(self) -> tuple[list[str], int]:
        """The keys that do not expire and belong to no batch that stands; how many do expire."""
        standing = set(self.client.zrange("gm1:batches", 0, -1))
        names = list(self.client.scan_iter(count=1000))
        with self.client.pipeline(transaction=False) as pipeline:
            for name in names:
                pipeline.ttl(name)
            seconds = pipeline.execute()
        standing.update(self.client.zrange("gm1:batches", 0, -1))
        lasting = [name for name, left in zip(names, seconds, strict=True) if left == -1]
        of_others = [name for name in lasting if not ((match := OF_BATCH.search(name)) and match[1] in standing)]
        return of_others, sum(left >= 0 for left in seconds)


def growth(samples: Sequence[Sample]) -> list[str]:
    """The figures that grew in the second half: the median of its last third is above that of its first third."""
    half = samples[len(samples) // 2 :]
    third = max(1, len(half) // 3)
    figures = []
    for name, slack in SLACK.items():
        before, after = (statistics.median(getattr(s, name) for s in part) for part in (half[:third], half[-third:]))
        if after > before * (1 + SHARE) + slack:
            figures.append(f"{name} grew from {before:g} to {after:g}")
    return figures


def table(samples: Sequence[Sample]) -> str:
    """Ten of the samples as a Markdown table."""
    names = list(asdict(samples[0]))
    step = max(1, len(samples) // 10)
    rows = [[f"{value:g}" for value in asdict(sample).values()] for sample in samples[::step]]
    return "\n".join(f"| {' | '.join(row)} |" for row in [names, ["---"] * len(names), *rows])


def main() -> int:
    """Soak. 1: something is lost, or grew in the second half."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.soak", description=__doc__)
    parser.add_argument("--minutes", type=float, default=60, metavar="M", help="default: 60")
    parser.add_argument("--seed", type=at_least(0), default=1, help="of what is killed, when")
    parser.add_argument("--json", action="store_true", help="all samples as JSON in the last line")
    arguments = parser.parse_args()
    # TERM ends the workers too.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    with tempfile.TemporaryDirectory(prefix="soak-") as name, ExitStack() as stack:
        soak = Soak(stack, Path(name) / "home", arguments.seed)
        soak.run(60 * arguments.minutes)
    print(table(soak.samples))
    print("\n" + ", ".join(f"{what}: {number:,}" for what, number in asdict(soak.tally).items()))
    wrong = growth(soak.samples) + ([f"{soak.tally.lost} lost"] if soak.tally.lost else [])
    print("; ".join(wrong) or "ok: nothing lost, nothing grew")
    if wrong:
        print("keys at the end: " + " ".join(sorted(soak.lasting)))
    if arguments.json:
        print(json.dumps([asdict(sample) for sample in soak.samples]))
    return int(bool(wrong))


if __name__ == "__main__":
    sys.exit(main())
