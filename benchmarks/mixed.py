"""`python -m benchmarks.mixed`: a batch of many short items and some long ones, beside a pool of processes.

Many naps of 1 ms and 10 long ones, at random places or side by side (`--together`), on 4 slots: how long the batch
takes, by kind of slot, beside `multiprocessing.Pool(4).imap_unordered` with one item at a time. No way can be faster
than what the slots have to nap.
"""

import argparse
import random
import time
from collections.abc import Iterable
from multiprocessing import Pool

from benchmarks.options import at_least
from benchmarks.peers.report import median_text
from benchmarks.started import own_fleet
from gristmill import submit
from gristmill.tasks.kind import Kind

SLOTS, LONG, SHORT_SECONDS = 4, 10, 0.001
TASKS = {Kind.CPU: "nap", Kind.IO: "doze"}


def naps(short: int, long_seconds: float, seed: int, together: bool = False) -> list[float]:
    """The seconds of each item."""
    places = random.Random(seed)
    items = [SHORT_SECONDS] * short
    if together:
        at = places.randrange(short)
        return items[:at] + [long_seconds] * LONG + items[at:]
    items += [long_seconds] * LONG
    places.shuffle(items)
    return items


def at_best(items: Iterable[float], long_seconds: float) -> float:
    """The seconds that slots need at least: long items go in rounds."""
    return max(sum(items) / SLOTS, -(-LONG // SLOTS) * long_seconds)


def by_pool(items: list[float]) -> float:
    """The seconds of the pool, which has started before."""
    with Pool(SLOTS) as pool:
        pool.map(abs, range(SLOTS))
        started_at = time.perf_counter()
        for _ in pool.imap_unordered(time.sleep, items, chunksize=1):
            pass
        return time.perf_counter() - started_at


def by_batch(kind: Kind, items: list[float]) -> float:
    """The seconds of a batch of ours, from the call of `submit` to the end of its last item."""
    started_at = time.time()
    info = submit(TASKS[kind], items).wait()
    assert info.finished
    assert (info.succeeded, info.left, info.duplicates) == (len(items), 0, 0)
    return info.finished - started_at


def measure(short: int, long_seconds: float, rounds: int, together: bool, with_pool: bool) -> None:
    """Play the rounds, each with the long items at other places, and print what they took."""
    with own_fleet("benchmarks.waiting", dict.fromkeys(TASKS, SLOTS)):
        # What the batch before has taught the server is a part of it.
        for kind in TASKS:
            by_batch(kind, naps(short, SHORT_SECONDS, 0))
        seconds: dict[str, list[float]] = {}
        for seed in range(rounds):
            items = naps(short, long_seconds, seed, together)
            row = {f"ours, {kind}": by_batch(kind, items) for kind in TASKS}
            if with_pool:
                row["pool"] = by_pool(items)
            for way, span in row.items():
                seconds.setdefault(way, []).append(span)
            print(f"round {seed + 1}:", ", ".join(f"{way} {span:.2f} s" for way, span in row.items()), flush=True)
    least = at_best(items, long_seconds)
    for way, each in seconds.items():
        print(f"{way}, seconds: {median_text(each, 2)}; at best {least:.2f}")


def main() -> None:
    """Read the command line, and measure."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--short", type=at_least(1), default=2_000, metavar="N", help="short items (default: 2,000)")
    parser.add_argument("--long", type=float, default=20.0, metavar="S", help="seconds of a long item (default: 20)")
    parser.add_argument("--rounds", type=at_least(1), default=5, help="batches of each way (default: 5)")
    parser.add_argument("--together", action="store_true", help="the long items stand side by side")
    parser.add_argument("--no-pool", action="store_true", help="leave the pool out")
    arguments = parser.parse_args()
    measure(arguments.short, arguments.long, arguments.rounds, arguments.together, not arguments.no_pool)


if __name__ == "__main__":
    main()
