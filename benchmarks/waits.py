"""`python -m benchmarks.waits threads|coroutines`: a batch of waits beside the standard library's way, in pairs.

`threads`: 2,000 waits of 100 ms on 64 slots, beside `ThreadPoolExecutor(64)`. `coroutines`: 10,000 on the event loop of
one worker, beside one `asyncio.gather` with a semaphore of 1,000; the worker and the program share one core, and the
server and this process have the others. Prints the seconds of each round, and the ratio with its 95 % interval.
"""

import argparse
import asyncio
import os
import statistics
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from benchmarks.ab.interval import paired
from benchmarks.options import at_least
from benchmarks.peers.apps.work import WAIT_SECONDS
from benchmarks.started import own_fleet
from gristmill import submit
from gristmill.tasks import catalog
from gristmill.tasks.kind import Kind

MODULE = "benchmarks.waiting"
#: By way: our task, the items, and how many wait at once.
WAYS = {"threads": ("sleep", 2_000, 64), "coroutines": ("wait", 10_000, 1_000)}


def standard(way: str) -> float:
    """The seconds of the standard library's way, in this process."""
    _, items, width = WAYS[way]
    started_at = time.perf_counter()
    if way == "threads":
        with ThreadPoolExecutor(width) as pool:
            list(pool.map(lambda _: time.sleep(WAIT_SECONDS), range(items)))
    else:
        asyncio.run(_gather(items, width))
    return time.perf_counter() - started_at


async def _gather(items: int, width: int) -> None:
    places = asyncio.Semaphore(width)

    async def wait() -> None:
        async with places:
            await asyncio.sleep(WAIT_SECONDS)

    await asyncio.gather(*(wait() for _ in range(items)))


def _standard_apart(way: str, core: int | None) -> float:
    """The same in a process of its own, on one core if one is named."""
    code = f"from benchmarks.waits import standard; print(standard({way!r}))"
    command = [sys.executable, "-c", code]
    pin = (lambda: os.sched_setaffinity(0, {core})) if core is not None else None
    return float(subprocess.run(command, capture_output=True, check=True, text=True, preexec_fn=pin).stdout)


def ours(way: str) -> float:
    """The seconds of our batch, from the call of `submit` to the end of its last item."""
    task, items, _ = WAYS[way]
    started_at = time.time()
    info = submit(task, range(items)).wait()
    assert info.finished
    assert info.succeeded == items
    return info.finished - started_at


def measure(way: str, rounds: int) -> None:
    """Play the rounds, both ways in turns, and print what they took."""
    core = max(os.sched_getaffinity(0)) if way == "coroutines" else None
    with own_fleet(MODULE, {Kind.IO: 64}) as fleet:
        catalog.find(WAYS[way][0])
        if core is not None:
            for thread in Path(f"/proc/{fleet.pids[0]}/task").iterdir():
                os.sched_setaffinity(int(thread.name), {core})
            os.sched_setaffinity(0, os.sched_getaffinity(0) - {core} or {core})
        ours(way)
        pairs = []
        for number in range(rounds):
            pair = (ours(way), _standard_apart(way, core))
            pairs.append(pair)
            print(f"round {number + 1}: ours {pair[0]:.3f} s, standard library {pair[1]:.3f} s", flush=True)
    ratio = paired([one / other for one, other in pairs])
    medians = [statistics.median(seconds) for seconds in zip(*pairs, strict=True)]
    print(f"{way}: ours {medians[0]:.3f} s, standard library {medians[1]:.3f} s (medians of {rounds} rounds)")
    print(f"ratio {ratio.estimate:.3f} (95 % interval {ratio.low:.3f} to {ratio.high:.3f})")


def main() -> None:
    """Read the command line, and measure."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("way", choices=list(WAYS))
    parser.add_argument("--rounds", type=at_least(6), default=12, help="pairs of measurements (default: 12)")
    arguments = parser.parse_args()
    measure(arguments.way, arguments.rounds)


if __name__ == "__main__":
    main()
