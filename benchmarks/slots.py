"""`python -m benchmarks.slots`: what the slots of a worker do while a batch runs that keeps them busy for 3 seconds."""

import argparse
import statistics
import time
from collections import defaultdict
from collections.abc import Iterator
from itertools import pairwise

from benchmarks.options import at_least
from benchmarks.started import own_fleet
from gristmill import submit
from gristmill.tasks import catalog
from gristmill.tasks.kind import Kind

MODULE = "benchmarks.waiting"
SLOTS = {Kind.CPU: 2, Kind.IO: 64}
#: The task of each kind, and how many items keep its slots busy for 3 seconds.
BATCHES = {Kind.CPU: ("computed", 600), Kind.IO: ("waited", 1920)}
#: Items of the batch that goes ahead: how long they take is learnt from it.
AHEAD = 64
#: A pause that is longer has a record or a message in it, in seconds.
PAUSE_SECONDS = 0.001
COLUMNS = ("starts after", "between items", "pauses", "each", "idle at the end", "all")


def play(kind: Kind) -> list[float]:
    """One batch: for each of COLUMNS milliseconds, or pauses, of one slot on average."""
    task, items = BATCHES[kind]
    with own_fleet(MODULE, {kind: SLOTS[kind]}):
        catalog.find(task)
        submit(task, range(AHEAD)).wait()
        started_at = time.time()
        batch = submit(task, range(items))
        info = batch.wait()
        slots: dict[str, list[tuple[float, float]]] = defaultdict(list)
        for result in batch.results():
            place, *times = result.value
            slots[place].append((times[0], times[1]))
    assert info.finished
    assert sum(map(len, slots.values())) == items
    return list(_shares([sorted(spans) for spans in slots.values()], started_at, info.finished))


def _shares(slots: list[list[tuple[float, float]]], started_at: float, ended: float) -> Iterator[float]:
    last = max(spans[-1][1] for spans in slots)
    gaps = [after[0] - before[1] for spans in slots for before, after in pairwise(spans)]
    pauses = [gap for gap in gaps if gap > PAUSE_SECONDS]
    yield 1000 * statistics.fmean(spans[0][0] - started_at for spans in slots)
    yield 1000 * sum(gaps) / len(slots)
    yield len(pauses) / len(slots)
    yield 1000 * statistics.fmean(pauses or [0])
    yield 1000 * statistics.fmean(last - spans[-1][1] for spans in slots)
    yield 1000 * (ended - started_at)


def main() -> None:
    """Play and print medians, as a table."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.slots", description=__doc__)
    parser.add_argument("--rounds", type=at_least(1), default=5)
    rounds = parser.parse_args().rounds
    print("A slot on average, medians, in ms; pauses are a number.\n")
    print(f"| slots | {' | '.join(COLUMNS)} |\n|{' --- |' * (len(COLUMNS) + 1)}")
    for kind in BATCHES:
        played = zip(*(play(kind) for _ in range(rounds)), strict=True)
        print(f"| {SLOTS[kind]} {kind} |", *(f"{statistics.median(each):,.1f} |" for each in played), flush=True)


if __name__ == "__main__":
    main()
