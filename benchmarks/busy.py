"""`python -m benchmarks.busy`: what it costs an item to say that it runs, and that it may be among the slowest.

Runs no-op items as a worker does, without a server, and with what `busy` needs taken out, by turns; the CPU time of an
item in each, and of the two parts alone. Prints the medians over all rounds, in nanoseconds.
"""

import argparse
import statistics
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any
from unittest.mock import patch

from gristmill.batches.chunk import Chunk, Item, Outcome, Work
from gristmill.batches.slowest import SlowestFilter
from gristmill.tasks.kind import Kind
from gristmill.tasks.return_type import ReturnType
from gristmill.tasks.schema import Schema
from gristmill.worker.runs.rows import RunRows
from gristmill.worker.slot import item_runner

ITEMS = 1_000


class NoRow:
    """Stands for a row that nobody writes."""

    def begin(self, *_: Any) -> None:
        """Nothing."""

    def rest(self) -> None:
        """Nothing."""

    report, slot = None, 0


class NoRows:
    """Rows that nobody writes."""

    row = NoRow()

    def own(self) -> NoRow:
        """The same one always."""
        return self.row


class NoOp:
    """What the runner needs of a task that does nothing."""

    kind, retry_on, capture = Kind.CPU, (), True
    schema, return_type = Schema.of(lambda n: n), ReturnType()

    @staticmethod
    def run(n: int) -> int:
        """Answer the item."""
        return n


@contextmanager
def rows(writer: Any) -> Iterator[None]:
    """Have the runner write these rows."""
    with patch.object(item_runner, "run_rows", writer):
        yield


def nanoseconds(call: Callable[[], object], number: int) -> float:
    """CPU time of a call, for each of `number` items."""
    before = time.process_time_ns()
    call()
    return (time.process_time_ns() - before) / number


def run_items(work: Work, items: list[Item]) -> list[Outcome]:
    """Run the items as a chunk's."""
    return list(map(item_runner.ItemRunner(work, NoOp(), "cpu@a"), items))  # type: ignore[arg-type]


def main() -> None:
    """Measure, and print the medians."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=400)
    rounds = parser.parse_args().rounds
    work, items = Work(Chunk("scan", 1, 0, ITEMS), "noop", {}, "n", 0, 1.0, []), [Item(n, n, 1) for n in range(ITEMS)]
    table = RunRows()
    table.make(8)
    chunk, knows = Chunk("scan", 1, 0, ITEMS), SlowestFilter()
    knows.learn(chunk, 1.0)
    times: dict[str, list[float]] = {"with": [], "without": [], "slowest": []}
    for number in range(rounds):
        for word in ("with", "without") if number % 2 else ("without", "with"):
            with rows(table if word == "with" else NoRows()):
                times[word].append(nanoseconds(lambda: run_items(work, items), ITEMS))
        with rows(table):
            outcomes = run_items(work, items)
        times["slowest"].append(nanoseconds(lambda outcomes=outcomes: knows.candidates(chunk, outcomes), ITEMS))
    medians = {word: statistics.median(each) for word, each in times.items()}
    print(f"a no-op item that writes its row: {medians['with']:.0f} ns; one that does not: {medians['without']:.0f} ns")
    differences = [one - other for one, other in zip(times["with"], times["without"], strict=True)]
    print(f"difference, the median of the rounds' own: {statistics.median(differences):.0f} ns")
    print(f"the look for slow items: {medians['slowest']:.0f} ns")
    print(f"{rounds} rounds of {ITEMS:,} items")


if __name__ == "__main__":
    main()
