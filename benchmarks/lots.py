"""`python -m benchmarks.lots`: no-ops on two processes, by turns in our pool and in Celery's, both on our transport.

The queue is full when a worker starts; the first tenth does not count. CPU is that of all processes of the worker.
"""

import argparse
import statistics
import subprocess
import sys
import time

from redis import Redis

from benchmarks.options import at_least
from benchmarks.peers.report import median_text
from benchmarks.started import private_server, running
from benchmarks.transport import environ, standing
from gristmill.demo.on_workers import processor_seconds

POOLS = {"ours": "gristmill.worker.pool.lot_pool:LotTaskPool", "Celery's": "prefork"}
PUT = (
    "from benchmarks.plain import noop\n"
    "from gristmill.broker.enqueue import enqueue_many\n"
    "enqueue_many(noop, ((number,) for number in range({})))"
)
WORKER = "celery -A benchmarks.plain -q worker -Q bench -l error -P prefork -c 2 --without-mingle --without-gossip"


def measure(url: str, pool: str, tasks: int) -> tuple[float, float]:
    """No-ops per second, and µs of CPU for each."""
    client, env = Redis.from_url(url), environ(url, "ours", 50) | {"BENCH_POOL": POOLS[pool]}
    subprocess.run([sys.executable, "-c", PUT.format(tasks)], env=env, check=True)
    with running(*WORKER.split(), environ=env, killed=True, stderr=subprocess.DEVNULL) as worker:
        while (left := standing(client)) > tasks * 0.9:
            time.sleep(0.005)
        started_at, cpu = time.perf_counter(), processor_seconds([worker.pid])
        while standing(client):
            time.sleep(0.005)
        return left / (time.perf_counter() - started_at), 1e6 * (processor_seconds([worker.pid]) - cpu) / left


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.lots", description=__doc__)
    parser.add_argument("--rounds", type=at_least(1), default=5, help="of which the medians are shown (default: 5)")
    parser.add_argument("--tasks", type=at_least(100), default=6000, help="of each round (default: 6000)")
    arguments = parser.parse_args()
    figures: dict[str, list[tuple[float, float]]] = {pool: [] for pool in POOLS}
    with private_server() as (_, url):
        for number in range(arguments.rounds):
            for pool in list(POOLS)[:: -1 if number % 2 else 1]:
                figures[pool].append(measure(url, pool, arguments.tasks))
    for place, name in enumerate(("no-ops/s", "µs of CPU for each")):
        ours, celerys = ([each[place] for each in figures[pool]] for pool in POOLS)
        ratios = [one / other for one, other in zip(ours, celerys, strict=True)]
        print(
            f"{name}: ours {statistics.median(ours):,.0f}, Celery's {statistics.median(celerys):,.0f}, "
            f"ratio {median_text(ratios, 2)}"
        )


if __name__ == "__main__":
    main()
