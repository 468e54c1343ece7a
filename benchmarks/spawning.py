"""`python -m benchmarks.spawning`: what it takes to start `true` and wait for its end, by each call that can."""

import argparse
import os
import shutil
import statistics
import subprocess
import sys
import time
from collections.abc import Callable
from functools import partial

from benchmarks.options import at_least


def _posix_spawn(path: str) -> None:
    os.waitpid(os.posix_spawn(path, [path], {}, setsid=True), 0)


def _subprocess(path: str) -> None:
    subprocess.run([path], env={}, check=True, start_new_session=True)


def _fork(path: str) -> None:
    pid = os.fork()
    if not pid:
        os.setsid()
        os.execve(path, [path], {})
    os.waitpid(pid, 0)


CALLS: dict[str, Callable[[str], None]] = {"os.posix_spawn": _posix_spawn, "subprocess": _subprocess, "os.fork": _fork}


def _milliseconds(call: Callable[[], None], number: int) -> float:
    started_at = time.perf_counter()
    for _ in range(number):
        call()
    return 1000 * (time.perf_counter() - started_at) / number


def main() -> None:
    """Print a row for each call: the median over the rounds, and the least and the most."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.spawning", description=__doc__)
    parser.add_argument("--number", type=at_least(1), default=200, metavar="N", help="starts in a round (default: 200)")
    parser.add_argument("--rounds", type=at_least(1), default=7, metavar="N", help="default: 7")
    parser.add_argument(
        "--memory", type=at_least(0), default=0, metavar="MB", help="memory that this process has beside its own"
    )
    arguments = parser.parse_args()
    ballast = bytearray(os.urandom(1)) * (arguments.memory * 1_000_000)
    path = shutil.which("true") or sys.exit("this benchmark needs the program `true`")
    rounds: dict[str, list[float]] = {name: [] for name in CALLS}
    for _ in range(arguments.rounds):
        for name, call in CALLS.items():
            rounds[name].append(_milliseconds(partial(call, path), arguments.number))
    print(f"beside {len(ballast) // 1_000_000} MB, ms\n\n| call | median | least | most |\n| --- | --- | --- | --- |")
    for name, times in rounds.items():
        print(f"| {name} | {statistics.median(times):.2f} | {min(times):.2f} | {max(times):.2f} |")


if __name__ == "__main__":
    main()
