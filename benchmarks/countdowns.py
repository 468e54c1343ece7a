"""`python -m benchmarks.countdowns`: how late a task with a countdown begins on an idle worker, ours and stock kombu's.

One task at a time: the next is put once the last has begun. It is also the app that the worker runs.
"""

import argparse
import os
import random
import statistics
import subprocess
import sys
import time
from datetime import UTC, datetime, timedelta

from redis import Redis

from benchmarks.options import at_least
from benchmarks.quantile import quantile
from benchmarks.started import QUIET, private_server, running

#: The shortest and the longest countdown, in seconds.
SHORTEST, LONGEST = 0.05, 1.5
SEED = 14

if "BENCH_URL" in os.environ:
    from benchmarks.plain import app

    @app.task
    def due(key: str, at: float) -> None:
        """Say how many seconds late it begins."""
        late = time.time() - at
        with Redis.from_url(os.environ["BENCH_URL"]) as client:
            client.rpush(key, late)


def put(count: int) -> None:
    """Put the tasks of one transport, and print how late they began."""
    from benchmarks.countdowns import due  # now that there is an app

    luck = random.Random(SEED)
    with Redis.from_url(os.environ["BENCH_URL"], decode_responses=True) as client:
        # The first one waits for the worker's start, and does not count.
        for number in range(count + 1):
            eta = datetime.now(UTC) + timedelta(seconds=luck.uniform(SHORTEST, LONGEST) if number else 0)
            due.apply_async(("late", eta.timestamp()), eta=eta)
            while client.llen("late") <= number:
                time.sleep(0.01)
        seconds = sorted(float(text) for text in client.lrange("late", 1, -1))
    transport, ms = os.environ["BENCH_TRANSPORT"], [1000 * each for each in seconds]
    print(
        f"{transport:<6} {count} countdowns: late by {statistics.median(ms):.1f} ms in the median, "
        f"{quantile(ms, 0.95):.1f} ms at the 95th percentile, {ms[-1]:.1f} ms at worst",
        flush=True,
    )


def main() -> None:
    """Measure both transports."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.countdowns", description=__doc__)
    parser.add_argument("--count", type=at_least(1), default=50, help="how many countdowns")
    parser.add_argument("--pool", choices=["prefork", "threads", "solo"], default="threads")
    arguments = parser.parse_args()
    for transport in ("ours", "stock"):
        with private_server() as (_, url):
            os.environ |= {"BENCH_URL": url, "BENCH_TRANSPORT": transport, "BENCH_PREFETCH": "1"}
            command = [
                "celery",
                "-A",
                "benchmarks.countdowns",
                "worker",
                "-Q",
                "bench",
                "-P",
                arguments.pool,
                "-c",
                "2",
            ]
            options = ["-n", "w@bench", "--without-mingle", "--without-gossip", "-l", "error"]
            with running(*command, *options, environ=os.environ, **QUIET):
                code = f"from benchmarks.countdowns import put; put({arguments.count})"
                subprocess.run([sys.executable, "-c", code], check=True)


if __name__ == "__main__":
    main()
