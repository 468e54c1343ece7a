"""`python -m benchmarks.chaos`: tasks under kills; prints the lost, what ran twice, when the last came back."""

import argparse
import os
import random
import signal
import subprocess
import sys
import tempfile
import time
from collections import Counter
from pathlib import Path

from redis import Redis

from broker.home import Home
from broker.server import EmbeddedServer
from config.settings import load

#: Seconds without a single new run after which what is missing counts as lost.
QUIET_SECONDS = 60.0


class Fleet:
    """Workers that are killed and started again."""

    def __init__(self, url: str, arguments: argparse.Namespace, transport: str) -> None:
        self._environ = {
            **os.environ,
            "BENCH_URL": url,
            "BENCH_TRANSPORT": transport,
            "BENCH_PREFETCH": str(arguments.prefetch),
            "GRISTMILL_LEASE_SECONDS": str(arguments.lease),
        }
        self._command = [
            *(sys.executable, "-m", "celery", "-A", "benchmarks.plain", "worker", "-Q", "bench", "-l", "error"),
            *("-P", arguments.pool, "-c", str(arguments.slots), "--without-mingle", "--without-gossip"),
        ]
        self._number = 0
        self.workers: list[subprocess.Popen[bytes]] = []

    def start(self) -> None:
        self._number += 1
        self.workers.append(
            subprocess.Popen(
                [*self._command, "-n", f"w{self._number}@bench"], env=self._environ, start_new_session=True
            )
        )

    def kill(self, luck: random.Random) -> None:
        """Kill one worker with all its processes, and start another."""
        self._end(self.workers.pop(luck.randrange(len(self.workers))))
        self.start()

    def stop(self) -> None:
        while self.workers:
            self._end(self.workers.pop())

    @staticmethod
    def _end(worker: subprocess.Popen[bytes]) -> None:
        os.killpg(worker.pid, signal.SIGKILL)
        worker.wait()


def publish(url: str, transport: str, count: int, seconds: float) -> None:
    """Put the tasks on the queue, from a process that uses the same transport."""
    code = f"from benchmarks.plain import mark\nfor n in range({count}): mark.delay(n, {seconds})"
    subprocess.run(
        [sys.executable, "-c", code], env={**os.environ, "BENCH_URL": url, "BENCH_TRANSPORT": transport}, check=True
    )


def run(url: str, arguments: argparse.Namespace, transport: str) -> dict[str, float]:
    """One run: kills until there were enough, then the rest of the work in peace."""
    client = Redis.from_url(url)
    client.flushall()
    luck = random.Random(arguments.seed)
    publish(url, transport, arguments.tasks, arguments.seconds)
    fleet, kills, last_kill = Fleet(url, arguments, transport), 0, 0.0
    for _ in range(arguments.workers):
        fleet.start()
    begun = changed = last = time.monotonic()
    runs = 0
    try:
        next_kill = 0.0
        while True:
            now, ran = time.monotonic(), client.llen("bench:done")
            if ran != runs:
                runs, changed, last = ran, now, now
            if ran and not next_kill:
                next_kill = now
            done = len(set(client.lrange("bench:done", 0, -1))) if ran >= arguments.tasks else 0
            if done == arguments.tasks or now - changed > QUIET_SECONDS:
                break
            if next_kill and now >= next_kill and kills < arguments.kills:
                fleet.kill(luck)
                kills, last_kill = kills + 1, now
                next_kill = now + luck.uniform(0.5, 1.5) * arguments.every
            time.sleep(0.05)
    finally:
        fleet.stop()
    counts = Counter(client.lrange("bench:done", 0, -1))
    dead = client.xlen("gm1:dead") if transport == "ours" else 0
    return {
        "kills": kills,
        "tasks": arguments.tasks,
        "lost": arguments.tasks - len(counts) - dead,
        "duplicates": sum(counts.values()) - len(counts),
        "dead letters": dead,
        "last came back, s": round(max(0.0, last - last_kill), 1),
        "seconds": round(last - begun, 1),
    }


def main() -> None:
    """Run the transports asked for and print a line for each."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.chaos", description=__doc__)
    parser.add_argument("--transport", choices=["ours", "stock", "both"], default="both")
    parser.add_argument("--pool", choices=["prefork", "threads"], default="prefork")
    parser.add_argument("--kills", type=int, default=20)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--tasks", type=int, default=2000)
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--slots", type=int, default=2)
    parser.add_argument("--prefetch", type=int, default=1)
    parser.add_argument("--seconds", type=float, default=0.01, help="that a task takes")
    parser.add_argument("--every", type=float, default=3.0, help="seconds between two kills, on average")
    parser.add_argument("--lease", type=float, default=20.0)
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as home, EmbeddedServer(Home(Path(home)), load({})) as server:
        for transport in ("ours", "stock") if arguments.transport == "both" else (arguments.transport,):
            found = run(server.url, arguments, transport)
            line = ", ".join(f"{name} {value:g}" for name, value in found.items())
            print(f"{transport} ({arguments.pool}): {line}", flush=True)


if __name__ == "__main__":
    main()
