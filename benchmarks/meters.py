"""`python -m benchmarks.meters`: what counting costs: a cpu worker with meters and without, by turns in one run."""

import argparse
import statistics
import time

from benchmarks.ab.interval import paired
from benchmarks.options import at_least
from benchmarks.server_load import cpu_seconds
from gristmill import submit
from gristmill.config.settings import settings, use
from gristmill.demo.home import temporary_home
from gristmill.demo.on_workers import processor_seconds
from gristmill.fleet.registry import WorkerRegistry
from gristmill.local.fleet import LocalFleet
from gristmill.server.connection import client
from gristmill.tasks.kind import Kind

SLOTS = 2


def measure(meters: bool, items: int) -> tuple[float, float, float]:
    """Items per second, and microseconds of CPU of the worker and of the server per item."""
    use({"meters": str(meters).lower()})
    with LocalFleet("benchmark", {Kind.CPU: SLOTS}) as fleet:
        fleet.wait_ready()
        (worker,) = WorkerRegistry(client(), settings()).workers()
        # What is done once, and learning how long an item takes, is not what is compared.
        submit("fibonacci", [1] * 2000).wait(60)
        server = cpu_seconds(client())
        before, started_at = processor_seconds([worker.pid]), time.time()
        ended = submit("fibonacci", [1] * items).wait(120).finished
        assert ended
        seconds, used = ended - started_at, processor_seconds([worker.pid]) - before
        served = cpu_seconds(client()) - server
    return items / seconds, 1e6 * used / items, 1e6 * served / items


def main() -> None:
    """Measure by turns and print the medians, and the ratios with their intervals."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.meters", description=__doc__)
    parser.add_argument("--rounds", type=at_least(6), default=8)
    parser.add_argument("--items", type=at_least(1), default=300_000)
    arguments = parser.parse_args()
    rows_of: dict[bool, list[tuple[float, float, float]]] = {True: [], False: []}
    for number in range(arguments.rounds):
        for meters in (True, False) if number % 2 else (False, True):
            with temporary_home():
                rows_of[meters].append(measure(meters, arguments.items))
    print("meters    items/s  worker µs of CPU per item  server µs of CPU per item")
    for meters, rows in rows_of.items():
        rate, worker, server = (statistics.median(column) for column in zip(*rows, strict=True))
        print(f"{'on' if meters else 'off':<6}{rate:>11,.0f}{worker:>27.2f}{server:>27.2f}")
    pairs = list(zip(rows_of[True], rows_of[False], strict=True))
    for place, what in enumerate(("items/s", "worker's CPU of an item", "server's CPU of an item")):
        ratio = paired([on[place] / off[place] for on, off in pairs])
        print(f"{what}, with meters to without: {ratio.estimate:.3f} ({ratio.low:.3f} to {ratio.high:.3f})")


if __name__ == "__main__":
    main()
