"""`python -m benchmarks.process_start`: what the process of a slot costs, by start method.

For each method, a worker whose processes have run 1,000 no-ops: the memory of a slot, and the time from the death of
its processes to the value of the next item. With `--import numpy`, the module of the tasks imports that first.
"""

import argparse
import statistics
import time

import psutil
from redis import Redis

from benchmarks.idle import NOOPS, environ
from benchmarks.peers.report import median_text
from benchmarks.started import await_workers, private_server, running
from gristmill import submit
from gristmill.config.settings import use
from gristmill.config.start_methods import METHODS

TASKS = "benchmarks.noops"
#: Seconds in which a process that was killed is replaced, however busy the machine is.
PATIENCE = 60.0


def pid() -> int:
    """The process that runs an item."""
    return next(submit("pid").values())


def processes(worker: psutil.Process) -> list[psutil.Process]:
    """The processes of the worker's slots: they have the table of what runs, which a fork server has not."""
    return [
        child
        for child in worker.children()
        if any("gristmill-runs" in each.path for each in child.memory_maps(grouped=False))
    ]


def replacement(slots: list[psutil.Process]) -> float:
    """The seconds from the death of all processes to the value of an item."""
    began = time.perf_counter()
    for process in slots:
        process.kill()
    pid()
    return time.perf_counter() - began


def measure(url: str, home: str, method: str, arguments: argparse.Namespace) -> None:
    """Start a worker with that method and print what its processes cost."""
    client = Redis.from_url(url, decode_responses=True)
    client.flushall()
    variables = environ(url, home) | {"GRISTMILL_START_METHOD": method, "GRISTMILL_TASK_MODULES": arguments.modules}
    words = ["gristmill.worker", "cpu", "--slots", str(arguments.slots)]
    began = time.perf_counter()
    with running(*words, environ=variables, killed=True) as worker:
        await_workers(client)
        use({"home": home, "redis_url": url, "task_modules": TASKS})
        pid()
        first = time.perf_counter() - began
        submit("noop", range(NOOPS)).wait(PATIENCE)
        slots = processes(psutil.Process(worker.pid))
        own, share = (
            statistics.mean(getattr(each.memory_full_info(), kind) for each in slots) / 2**20 for kind in ("uss", "pss")
        )
        times = [replacement(processes(psutil.Process(worker.pid))) for _ in range(arguments.deaths)]
        print(f"{method}: {own:.1f} MiB (USS), {share:.1f} MiB (PSS) for each of {len(slots)} slots", flush=True)
        print(
            f"{method}: seconds to the first item {first:.2f}, after a death {median_text(times, 2)}",
            flush=True,
        )


def main() -> None:
    """Measure each method."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.process_start", description=__doc__)
    parser.add_argument("--import", dest="modules", action="append", default=[], metavar="MODULE")
    parser.add_argument("--slots", type=int, default=1)
    parser.add_argument("--deaths", type=int, default=10)
    arguments = parser.parse_args()
    arguments.modules = ",".join([*arguments.modules, TASKS])
    with private_server() as (home, url):
        for method in METHODS:
            measure(url, home, method, arguments)


if __name__ == "__main__":
    main()
