"""`python -m benchmarks.batches`: batches beside the fastest peer, a process pool and a thread pool, in one run."""

import argparse
import json
import random
import statistics
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from benchmarks.peers import huey
from broker.connection import reaching
from broker.home import Home
from broker.server import EmbeddedServer
from config.settings import load
from producer import submit
from producer.fleet import LocalFleet
from producer.samples.home import temporary_home
from producer.samples.one_core import measure
from tasks import catalog
from tasks.kinds import Kind

SLOTS = {Kind.CPU: 2, Kind.IO: 64}
PEER_TASKS = 20_000


def ours(task: str, items: Sequence[Any]) -> float:
    """Seconds from before the first item is sent until the last is recorded; the workers are up already."""
    with (
        temporary_home(task_modules="benchmarks.noops", log_level="error") as home,
        reaching(),
        LocalFleet("benchmark", SLOTS, logs=home / "logs") as fleet,
    ):
        fleet.wait_ready()
        # Imports are no more counted than the pools' are.
        catalog.find(task)
        begun = time.time()
        info = submit(task, items).wait()
        assert info.succeeded == info.submitted == len(items)
        assert info.ended
        return info.ended - begun


def peer() -> float:
    """No-ops per second that huey finishes on a server like ours."""
    with tempfile.TemporaryDirectory() as home, EmbeddedServer(Home(Path(home)), load({})) as server:
        return huey.finish_rate(server.url, PEER_TASKS)


def noops(items: int) -> tuple[float, float, float]:
    """Ours and the peer's no-ops per second, and how many times ours is."""
    rate, theirs = items / ours("noop", range(items)), peer()
    return rate, theirs, rate / theirs


def beside(task: str, items: Sequence[Any], method: str, width: int) -> tuple[float, float, float]:
    """Ours and the pool's seconds, and how many times ours is."""
    took, theirs = ours(task, items), measure(method, task, items, width).seconds
    return took, theirs, took / theirs


def main() -> None:
    """Run the cases by turns and print the medians, the last line as JSON."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.batches", description=__doc__)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--items", type=int, default=1_000_000, help="no-ops of one round")
    parser.add_argument("--case", action="append", help="noops, fibonacci or waits (default: all)")
    arguments = parser.parse_args()
    sizes = random.Random(1).choices(range(18, 28), k=400)
    cases: dict[str, tuple[str, Callable[[], tuple[float, float, float]]]] = {
        "noops": (f"{arguments.items:,} no-ops, items/s | huey", lambda: noops(arguments.items)),
        "fibonacci": (
            "400 Fibonacci items on 2 processes, s | Pool(2).imap_unordered",
            lambda: beside("fibonacci", sizes, "multiprocessing.Pool", 2),
        ),
        "waits": (
            "2,000 waits of 100 ms on 64 threads, s | ThreadPoolExecutor(64)",
            lambda: beside("pause", [0.1] * 2000, "threading", 64),
        ),
    }
    found: dict[str, list[tuple[float, float, float]]] = {name: [] for name in arguments.case or cases}
    for number in range(arguments.rounds):
        for name, rows in found.items():
            rows.append(cases[name][1]())
            print(f"round {number + 1}: {name}: " + ", ".join(f"{value:,.2f}" for value in rows[-1]), flush=True)
    print("\n| what | ours | peer | ratio, median (least to most) |\n| --- | --- | --- | --- |")
    for name, rows in found.items():
        mine, theirs, ratios = (sorted(column) for column in zip(*rows, strict=True))
        what, against = cases[name][0].split(" | ")
        middle = f"{statistics.median(ratios):.2f} ({ratios[0]:.2f} to {ratios[-1]:.2f})"
        print(f"| {what} | {statistics.median(mine):,.2f} | {against}: {statistics.median(theirs):,.2f} | {middle} |")
    print(json.dumps({name: statistics.median(row[2] for row in rows) for name, rows in found.items()}))


if __name__ == "__main__":
    main()
