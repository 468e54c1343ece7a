"""`python -m benchmarks.quick`, `make bench-quick`: what matters most as ratios of one run, in two minutes.

One round of each, after which another follows while there is time. The last line is JSON.
"""

import argparse
import json
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Sequence

from benchmarks.peers.catalog import PEERS
from benchmarks.peers.goals import BATCHES, POOL, STOCK, THREADS
from benchmarks.peers.limits import LIMITS
from benchmarks.peers.rounds import Figures, Size, finish, play
from gristmill.errors import ServerError

SIZE = Size(share=0.3, seconds=1.0, work=2.0)
PLAIN, HUEY = "Gristmill, plain messages, threads", "huey, processes"
#: Each ratio's two sides: row, workload, figure. Seconds are compared by rates, the other's first.
RATIOS: dict[str, tuple[tuple[str, str, str], tuple[str, str, str]]] = {
    "finish, to stock threads": ((PLAIN, "noop", "finish"), (STOCK, "noop", "finish")),
    "finish, to huey": ((PLAIN, "noop", "finish"), (HUEY, "noop", "finish")),
    "enqueue of a list, to huey": ((PLAIN, "noop", "enqueue"), (HUEY, "noop", "enqueue")),
    "batch of no-ops, to huey": ((BATCHES, "noop", "finish"), (HUEY, "noop", "finish")),
    "seconds of CPU, to Pool": ((POOL, "cpu", "through"), (BATCHES, "cpu", "through")),
    "seconds of waits, to ThreadPoolExecutor": ((THREADS, "wait", "through"), (BATCHES, "wait", "through")),
}


def plan() -> dict[tuple[str, str], Callable[[], Figures]]:
    """What is measured, by row and workload."""
    sides = dict.fromkeys(side[:2] for pair in RATIOS.values() for side in pair)
    peers, limits = {peer.name: peer for peer in PEERS}, {limit.name: limit for limit in LIMITS}

    def one(name: str, workload: str) -> Callable[[], Figures]:
        if name in limits:
            return lambda: limits[name].rounds[workload](SIZE)
        if workload == "noop":
            return lambda: finish(peers[name], SIZE)
        return lambda: play(peers[name], workload, SIZE)

    return {side: one(*side) for side in sides}


def ratios(rounds: Sequence[dict[tuple[str, str], Figures]]) -> dict[str, float]:
    """The medians of the ratios, each of one round."""
    return {
        name: statistics.median(one[ours[:2]][ours[2]] / one[other[:2]][other[2]] for one in rounds)
        for name, (ours, other) in RATIOS.items()
    }


def main(arguments: Sequence[str] | None = None) -> int:
    """Measure while there is time and print the ratios."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.quick", description=__doc__)
    parser.add_argument("--seconds", type=float, default=100, help="for all rounds; the first one is always whole")
    options = parser.parse_args(arguments)
    started_at, rounds, longest = time.monotonic(), list[dict[tuple[str, str], Figures]](), 0.0
    while not rounds or time.monotonic() - started_at + longest < options.seconds:
        since = time.monotonic()
        try:
            rounds.append({side: measured() for side, measured in plan().items()})
        except (ServerError, RuntimeError, subprocess.SubprocessError) as error:
            print(f"not measured: {error}", file=sys.stderr)
            return 1
        longest = max(longest, time.monotonic() - since)
    for name, ratio in ratios(rounds).items():
        sides = RATIOS[name]
        rates = [statistics.median(one[side[:2]][side[2]] for one in rounds) for side in sides]
        line = ", ".join(f"{side[0]} {rate:,.0f}/s" for side, rate in zip(sides, rates, strict=True))
        print(f"{name:40} {ratio:7.2f}×   {line}")
    print(json.dumps({"rounds": len(rounds), **{name: round(ratio, 3) for name, ratio in ratios(rounds).items()}}))
    return 0


if __name__ == "__main__":
    sys.exit(main())
