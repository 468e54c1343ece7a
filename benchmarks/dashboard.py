"""`python -m benchmarks.dashboard`: how fast the pages answer, and what the dashboard uses, while a fleet works.

Each number of live batches is looked at with each number of workers. One worker is real and runs the items; the others
send the heartbeats of real ones, each with running items of the batches that stand. Where a look lasts a minute or
longer, the dashboard is killed in the middle and started again, and the history must have no hole.
"""

import argparse
import json
import os
import signal
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from typing import Any, cast
from urllib.error import URLError
from urllib.request import urlopen

import psutil

from benchmarks import page
from benchmarks.options import at_least
from benchmarks.quantile import quantile
from benchmarks.scale.live import Heartbeats, stand
from benchmarks.scale.worker import SimulatedWorker
from benchmarks.started import server_of_settings
from gristmill import Batch, submit
from gristmill.local.fleet import LocalFleet
from gristmill.server.connection import client, connect
from gristmill.tasks.kind import Kind

PAGES = (
    *("throughput", "throughput/data", "batches/data", "batches/data?state=running&sort=-left", "batch/{}/data"),
    *("busy/data", "workers/data", "metrics"),
)
#: Items of a batch when all is to be busy; the next one is submitted when it is nearly done.
ITEMS = 50_000
#: Slots of the worker that runs items; of each of the others, which do not take what stands, with their queue and task.
SLOTS, OTHER_SLOTS, OTHER_QUEUE, OTHER_TASK = 2, 4, "io", "sleep"
#: Batches of the load that stay on the server.
STANDING = 10
#: A dashboard is killed in a look of at least so many seconds.
KILL_SECONDS = 60


def answered(address: str) -> float:
    """Milliseconds until a page has come."""
    started_at = time.perf_counter()
    with urlopen(address, timeout=30) as answer:
        answer.read()
    return 1000 * (time.perf_counter() - started_at)


class DashboardProcess:
    """The dashboard's process: how long its pages take, what it uses."""

    def __init__(self, fleet: LocalFleet) -> None:
        self.fleet = fleet
        self.times: dict[str, list[float]] = {page: [] for page in PAGES}
        self.memory: list[list[int]] = [[]]
        self.cpu = 0.0

    def look(self, batch: str) -> None:
        """Ask for every page once; for that of a batch, if there is one."""
        try:
            for page in PAGES:
                if batch or "{}" not in page:
                    self.times[page].append(answered(f"{self.fleet.dashboard}/{page.format(batch)}"))
            process = psutil.Process(self.fleet.pids[-1])
            self.memory[-1].append(process.memory_info().rss)
            self.cpu = sum(process.cpu_times()[:2]) / (time.time() - process.create_time())
        except (URLError, ConnectionError, psutil.Error):
            # Being started again.
            if self.memory[-1]:
                self.memory.append([])


class Load:
    """Batches of short items: so many items a second, or, with 0, as many as the fleet runs."""

    def __init__(self, rate: float) -> None:
        self.rate, self.put, self.started_at = rate, 0, time.monotonic()
        #: The last batches; those before are done and deleted, so that their results do not fill the server.
        self.batches: list[Batch] = []
        self.done = 0

    def feed(self) -> None:
        """Submit the next batch when it is due."""
        if self.rate:
            due = int(self.rate * (1 + time.monotonic() - self.started_at)) - self.put
            due = due if due >= self.rate else 0
        else:
            due = ITEMS if not self.batches or self.batches[-1].info().left < ITEMS / 4 else 0
        if due:
            self.batches.append(submit("fibonacci", [1] * due))
            self.put += due
        while len(self.batches) > STANDING:
            self.end(self.batches.pop(0))

    def end(self, batch: Batch) -> None:
        """Wait for the end of a batch, count its items and delete it."""
        batch.wait(60)
        self.done += batch.info().succeeded
        batch.delete()


@contextmanager
def others(number: int, batches: int) -> Iterator[None]:
    """Workers that send heartbeats, and whose slots run items of the batches that stand."""
    with connect() as shared:
        workers = [SimulatedWorker(place, OTHER_SLOTS, shared, OTHER_QUEUE) for place in range(number)]
        for place, worker in enumerate(workers):
            worker.runs = [
                {"batch": f"standing-{slot % batches}", "index": 0, "attempt": 1, "seconds": 5.0 + slot, "pid": slot}
                | {"progress": {"done": 1, "total": 20, "note": ""}}
                for slot in range(OTHER_SLOTS * place, OTHER_SLOTS * (place + 1) if batches else 0)
            ]
            worker.announce()
            worker.heartbeat()
        with Heartbeats(workers):
            yield


def run(seconds: float, rate: float, workers: int, batches: int) -> list[list[str]]:
    """Look at one fleet for so long and print what was seen; returns a row for each page."""
    with ExitStack() as stack:
        slots = {Kind.CPU: SLOTS} if workers else {}
        fleet = stack.enter_context(LocalFleet("benchmark", slots, port=0))
        stack.enter_context(others(max(0, workers - 1), batches))
        fleet.wait_ready()
        client().config_set("latency-monitor-threshold", 1)
        dashboard, load, started_at = DashboardProcess(fleet), Load(rate if workers else 1e-9), time.time()
        is_killed, memory = seconds < KILL_SECONDS, [_server_memory()]
        while time.time() - started_at < seconds:
            load.feed()
            if not is_killed and time.time() - started_at > seconds / 2:
                is_killed = True
                psutil.Process(fleet.pids[-1]).send_signal(signal.SIGKILL)
            dashboard.look(load.batches[-1].name if load.batches else "")
            memory.append(_server_memory())
            fleet.watch()
            time.sleep(0.5)
        for batch in load.batches:
            load.end(batch)
        took = time.time() - started_at
        print(f"\n{batches:,} live batches, {workers} workers, load of the machine {os.getloadavg()[0]:.1f}")
        report(dashboard, load.done, took, memory)
    return [_row(batches, workers, page, times) for page, times in dashboard.times.items() if times]


def _server_memory() -> float:
    return float(client().info("memory")["used_memory"]) / 1e6


def _row(batches: int, workers: int, page: str, times: Sequence[float]) -> list[str]:
    return [
        f"{batches:,}",
        str(workers),
        f"`/{page}`",
        *(f"{quantile(times, share):.0f}" for share in (0.5, 0.99)),
        f"{max(times):.0f}",
        f"{len(times)}",
    ]


def report(dashboard: DashboardProcess, done: int, took: float, memory: Sequence[float]) -> None:
    """Print the numbers that are not of one page."""
    print(f"{done:,} items in {took:,.0f} s: {done / took:,.0f}/s")
    for number, rss in enumerate(rss for rss in dashboard.memory if len(rss) > 2):
        print(f"memory of process {number + 1}: {rss[2] / 1e6:.1f} MB, then {rss[-1] / 1e6:.1f} MB")
    tenth = max(1, len(memory) // 10)
    first, last = (sum(some) / len(some) for some in (memory[:tenth], memory[-tenth:]))
    print(f"memory of the server: {first:.1f} MB in the first tenth of the time, {last:.1f} MB in the last")
    events = cast(list[tuple[str, int, int, int]], client().execute_command("LATENCY LATEST"))
    slowest = {name: most for name, _, _, most, *_ in events}
    print(f"the server's slowest write to the disk: {slowest.get('aof-fsync-always', 0)} ms")
    print(f"CPU of the dashboard: {100 * dashboard.cpu:.1f} % of a core")
    if done and took >= KILL_SECONDS:
        # Until the last bucket of ten seconds is over.
        time.sleep(14)
        print(f"the charts show {_charted(dashboard, took):,.0f} items of {done:,}")


def _charted(dashboard: DashboardProcess, took: float) -> float:
    name = "live" if took < 290 else "1h"
    with urlopen(f"{dashboard.fleet.dashboard}/throughput/data?range={name}", timeout=30) as answer:
        history: Mapping[str, Any] = json.load(answer)["history"]
    return float(sum(filter(None, history["queues"]["cpu"]["succeeded"])) * history["width"])


def main() -> None:
    """Run it in a home of its own, on a server of its own."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.dashboard", description=__doc__)
    parser.add_argument("--seconds", type=float, default=20, help="for each look (default: 20)")
    parser.add_argument("--minutes", type=float, help="the same in minutes")
    parser.add_argument("--rate", type=float, default=10_000, help="items a second; 0: as many as run (default: 10000)")
    numbers: dict[str, Any] = {"type": at_least(0), "nargs": "+", "metavar": "N"}
    parser.add_argument("--workers", **numbers, default=(0, 1, 40), help="numbers of workers (default: 0 1 40)")
    parser.add_argument("--batches", **numbers, default=(0, 5_000), help="live batches (default: 0 5000)")
    options = parser.parse_args()
    seconds, rows = 60 * options.minutes if options.minutes else options.seconds, list[list[str]]()
    with server_of_settings("benchmarks.waiting"):
        standing = 0
        for batches in sorted(options.batches):
            with others(1, 0):
                for number in range(standing, batches):
                    stand(f"standing-{number}", OTHER_TASK)
            standing = batches
            for workers in options.workers:
                rows += run(seconds, options.rate, workers, batches)
                sys.stdout.flush()
    head = ["live batches", "workers", "page", "p50, ms", "p99, ms", "slowest, ms", "answers"]
    print("\n" + page.table(head, rows))


if __name__ == "__main__":
    main()
