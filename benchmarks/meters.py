"""`python -m benchmarks.meters`: what counting costs: a cpu worker with meters and without, by turns in one run."""

import argparse
import statistics
import time

import psutil

from benchmarks.server_load import cpu_seconds
from gristmill import submit
from gristmill.config.settings import settings, use
from gristmill.demo.home import temporary_home
from gristmill.fleet.registry import WorkerRegistry
from gristmill.local.fleet import LocalFleet
from gristmill.server.connection import client
from gristmill.tasks.task import Kind

SLOTS = 2


def processor_seconds(pid: int) -> float:
    """CPU time of a worker and its pool."""
    main = psutil.Process(pid)
    times = [process.cpu_times() for process in (main, *main.children(recursive=True))]
    return sum(one.user + one.system for one in times)


def measure(meters: bool, items: int) -> tuple[float, float, float]:
    """Items per second, and microseconds of CPU of the worker and of the server per item."""
    use({"meters": str(meters).lower()})
    with LocalFleet("benchmark", {Kind.CPU: SLOTS}) as fleet:
        fleet.wait_ready()
        (worker,) = WorkerRegistry(client(), settings()).workers()
        # What is done once, and learning how long an item takes, is not what is compared.
        submit("fibonacci", [1] * 2000).wait(60)
        server = cpu_seconds(client())
        before, started_at = processor_seconds(worker.pid), time.time()
        ended = submit("fibonacci", [1] * items).wait(120).finished
        assert ended
        seconds, used = ended - started_at, processor_seconds(worker.pid) - before
        served = cpu_seconds(client()) - server
    return items / seconds, 1e6 * used / items, 1e6 * served / items


def main() -> None:
    """Measure by turns and print the medians."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.meters", description=__doc__)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--items", type=int, default=300_000)
    arguments = parser.parse_args()
    rows_of: dict[bool, list[tuple[float, float, float]]] = {True: [], False: []}
    for number in range(arguments.rounds):
        for meters in (True, False) if number % 2 else (False, True):
            with temporary_home():
                rows_of[meters].append(measure(meters, arguments.items))
    print("meters    items/s  worker µs of CPU per item  server µs of CPU per item")
    medians = {
        meters: [statistics.median(column) for column in zip(*rows, strict=True)] for meters, rows in rows_of.items()
    }
    for meters, row in medians.items():
        print(f"{'on' if meters else 'off':<6}{row[0]:>11,.0f}{row[1]:>27.1f}{row[2]:>27.1f}")
    ratios = [on / off for on, off in zip(medians[True], medians[False], strict=True)]
    print(f"ratio {ratios[0]:>11.3f}{ratios[1]:>27.3f}{ratios[2]:>27.3f}")


if __name__ == "__main__":
    main()
