"""`python -m benchmarks.dashboard`: a fleet under load, its dashboard looked at: memory, CPU, how fast pages answer.

In the middle the dashboard is killed; `gristmill up` starts it again, and the history must have no hole.
"""

import argparse
import json
import signal
import statistics
import time
from typing import cast
from urllib.error import URLError
from urllib.request import urlopen

import psutil

from gristmill import Batch, submit
from gristmill.demo.home import temporary_home
from gristmill.local.fleet import LocalFleet
from gristmill.server.connection import client
from gristmill.tasks.task import Kind

PAGES = ("throughput", "throughput/data", "batches/data", "batch/{}/data", "metrics")
#: Items of a batch when all is to be busy; the next one is submitted when it is nearly done.
ITEMS = 50_000


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
        """Ask for every page once."""
        try:
            for page in PAGES:
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
        self.batches: list[Batch] = []

    def feed(self) -> None:
        """Submit the next batch when it is due."""
        if self.rate:
            due = int(self.rate * (1 + time.monotonic() - self.started_at)) - self.put
            due = due if due >= self.rate else 0
        else:
            due = ITEMS if not self.batches or self.batches[-1].info().left < ITEMS / 4 else 0
        if due:
            self.batches.append(submit("fibonacci", [1] * due, name=f"load-{len(self.batches) + 1}"))
            self.put += due


def run(seconds: float, rate: float) -> None:
    """Load the fleet for so long and print what was seen."""
    with LocalFleet("benchmark", {Kind.CPU: 2}, port=0) as fleet:
        fleet.wait_ready()
        client().config_set("latency-monitor-threshold", 1)
        dashboard, load, started_at, killed = DashboardProcess(fleet), Load(rate), time.time(), False
        while time.time() - started_at < seconds:
            load.feed()
            if not killed and time.time() - started_at > seconds / 2:
                killed = True
                psutil.Process(fleet.pids[-1]).send_signal(signal.SIGKILL)
            dashboard.look(load.batches[-1].name)
            fleet.watch()
            time.sleep(0.5)
        for batch in load.batches:
            batch.wait(60)
        took = time.time() - started_at
        # Until the last bucket of ten seconds is over.
        time.sleep(14)
        report(dashboard, load.batches, took)


def report(dashboard: DashboardProcess, batches: list[Batch], took: float) -> None:
    """Print the numbers."""
    done = sum(batch.info().succeeded for batch in batches)
    print(f"{done:,} items in {took:,.0f} s: {done / took:,.0f}/s")
    for page, times in dashboard.times.items():
        late = sorted(times)[int(0.99 * (len(times) - 1))]
        middle = statistics.median(times)
        print(f"{page:<16} ms: p50 {middle:.1f}, p99 {late:.1f}, slowest {max(times):.1f} of {len(times)}")
    for number, rss in enumerate(rss for rss in dashboard.memory if len(rss) > 2):
        print(f"memory of process {number + 1}: {rss[2] / 1e6:.1f} MB, then {rss[-1] / 1e6:.1f} MB")
    events = cast(list[tuple[str, int, int, int]], client().execute_command("LATENCY LATEST"))
    slowest = {name: most for name, _, _, most, *_ in events}
    print(f"the server's slowest write to the disk: {slowest.get('aof-fsync-always', 0)} ms")
    print(f"CPU of the dashboard: {100 * dashboard.cpu:.1f} % of a core")
    name = "live" if took < 290 else "1h"
    with urlopen(f"{dashboard.fleet.dashboard}/throughput/data?range={name}", timeout=30) as answer:
        history = json.load(answer)["history"]
    charted = sum(history["queues"]["cpu"]["succeeded"]) * history["width"]
    print(f"the chart shows {charted:,.0f} items of {done:,}")


def main() -> None:
    """Run it in a home of its own."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.dashboard", description=__doc__)
    parser.add_argument("--seconds", type=float, default=600)
    parser.add_argument("--rate", type=float, default=6000, help="items per second; 0: as many as run (default: 6000)")
    arguments = parser.parse_args()
    with temporary_home():
        run(arguments.seconds, arguments.rate)


if __name__ == "__main__":
    main()
