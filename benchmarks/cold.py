"""`python -m benchmarks.cold`: what a pause costs on this machine, in computing and in reading memory.

Figures of what is idle, or wakes once a second, depend on that more than on what is done.
"""

import argparse
import random
import statistics
import time
from collections.abc import Callable, Sequence

from benchmarks import page
from benchmarks.options import at_least

#: Seconds without work before each look.
PAUSES = (0.0, 0.02, 0.2, 1.0)
#: Numbers that are added, and places that are read of an area of memory, in bytes.
NUMBERS, PLACES, AREA = 30_000, 20_000, 16 << 20


def compute() -> int:
    """Add numbers, which touches no memory to speak of."""
    return sum(number * number for number in range(NUMBERS))


def reader() -> Callable[[], int]:
    """A function that reads places all over an area of memory, the same ones each time."""
    area = bytearray(AREA)
    choice = random.Random(1)
    places = [choice.randrange(AREA) for _ in range(PLACES)]
    return lambda: sum(area[place] for place in places)


def milliseconds(call: Callable[[], int], pause: float, rounds: int) -> list[float]:
    """The CPU time of a call after each of `rounds` pauses."""
    times = []
    call()
    for _ in range(rounds):
        time.sleep(pause)
        started_at = time.process_time()
        call()
        times.append(1e3 * (time.process_time() - started_at))
    return times


def main(arguments: Sequence[str] | None = None) -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.cold", description=__doc__)
    parser.add_argument("--rounds", type=at_least(1), default=15, help="pauses of each length")
    options = parser.parse_args(arguments)
    calls = {f"{NUMBERS:,} numbers added": compute, f"{PLACES:,} places of {AREA >> 20} MiB read": reader()}
    lines = [
        [what, f"{pause:g}", f"{statistics.median(times):.1f} ({min(times):.1f} to {max(times):.1f})"]
        for what, call in calls.items()
        for pause in PAUSES
        for times in [milliseconds(call, pause, options.rounds)]
    ]
    print(page.table(["", "after a pause of, s", "CPU, ms"], lines))


if __name__ == "__main__":
    main()
