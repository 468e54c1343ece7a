"""`python -m benchmarks.idle`: what a worker costs that has nothing to do: CPU, and the memory of each slot.

Of each kind alone, and beside one of the other kind: then both watch each other. Of slots that are processes, the
memory also after 1,000 no-ops.
"""

import argparse
import os
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager

import psutil
from redis import Redis

from benchmarks.cpu_time import scheduled
from benchmarks.server_load import commands
from benchmarks.started import await_workers, private_server, running
from gristmill import submit
from gristmill.config.settings import use

SLOTS = {"cpu": 4, "io": 64}
NOOPS = 1_000
#: Seconds after its first heartbeat in which a worker still starts: it closes connections five seconds later.
SETTLE_SECONDS = 7.0


def environ(url: str, home: str) -> dict[str, str]:
    """The environment of a worker of ours."""
    names = {"HOME": home, "REDIS_URL": url, "TASK_MODULES": "benchmarks.noops"}
    return {**os.environ, **{f"GRISTMILL_{name}": value for name, value in names.items()}}


def idle_shares(process: psutil.Process, seconds: float) -> list[float]:
    """What share of a core a process uses in the next `seconds`, and then each of its children."""
    processes = [process, *process.children(recursive=True)]
    before, began = [scheduled(each) for each in processes], time.perf_counter()
    time.sleep(seconds)
    took = time.perf_counter() - began
    return [(scheduled(each) - first) / took for each, first in zip(processes, before, strict=True)]


def each_slot(process: psutil.Process) -> str:
    """The memory of a slot of the worker, which is its own; empty when slots are threads."""
    slots = [child.memory_full_info().uss / 2**20 for child in process.children()]
    return f"{sum(slots) / len(slots):.1f} MiB for each of {len(slots)} slots" if slots else ""


@contextmanager
def idle_worker(client: Redis, url: str, home: str, *kinds: str) -> Iterator[psutil.Process]:
    """Start a worker of each kind; the first one's main process, once all of them have settled."""
    client.flushall()
    with ExitStack() as stack:
        words = [("gristmill.worker", kind, "--slots", str(SLOTS[kind])) for kind in kinds]
        workers = [stack.enter_context(running(*each, environ=environ(url, home), killed=True)) for each in words]
        await_workers(client, len(kinds))
        time.sleep(SETTLE_SECONDS)
        yield psutil.Process(workers[0].pid)


def print_cpu(client: Redis, process: psutil.Process, about: str, seconds: float) -> None:
    """Let a worker idle, and print what that cost."""
    before = commands(client)
    own_share, *shares = idle_shares(process, seconds)
    each_second = (commands(client) - before) / seconds
    of_slots = f" (of which slots {100 * sum(shares):.2f} %)" if shares else ""
    share, connections = 100 * (own_share + sum(shares)), len(process.net_connections("tcp"))
    print(f"{about}: {share:.2f} % of a core{of_slots}, {connections} connections", flush=True)
    print(f"{about}: all workers have the server run {each_second:.1f} commands a second", flush=True)


def measure(url: str, home: str, kind: str, seconds: float) -> None:
    """Start a worker, let it idle and print what that cost; then once more beside one of the other kind."""
    client = Redis.from_url(url, decode_responses=True)
    with idle_worker(client, url, home, kind) as process:
        print_cpu(client, process, f"{kind} alone", seconds)
        own, slots = process.memory_full_info().uss / 2**20, each_slot(process)
        print(f"{kind}: {own:.1f} MiB{slots and ', '}{slots} (USS)", flush=True)
        if slots:
            use({"home": home, "redis_url": url, "task_modules": "benchmarks.noops"})
            submit("noop", range(NOOPS)).wait(60)
            print(f"{kind}: {each_slot(process)} after {NOOPS:,} no-ops", flush=True)
    (other,) = SLOTS.keys() - {kind}
    with idle_worker(client, url, home, kind, other) as process:
        print_cpu(client, process, f"{kind} beside {other}", seconds)


def main() -> None:
    """Measure a worker of each kind."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.idle", description=__doc__)
    parser.add_argument("--seconds", type=float, default=20)
    arguments = parser.parse_args()
    with private_server() as (home, url):
        for kind in SLOTS:
            measure(url, home, kind, arguments.seconds)


if __name__ == "__main__":
    main()
