"""`python -m benchmarks.ab OLD NEW`, `make ab OLD=… NEW=…`: whether a commit is slower than another, by a few percent.

OLD and NEW are commits or paths of checkouts. Each runs with its own environment, server, worker of one slot, and
producer; workers are pinned to one core, all else to another. The two sides take turns (old, new, new, old, or the
other way round), so that a drift of the machine meets both alike. The exit code is 1 if a figure is worse.
"""

import argparse
import json
import os
import random
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from pathlib import Path

from benchmarks import page
from benchmarks.ab import report
from benchmarks.ab.checkout import Checkout, NoCheckout, checkout
from benchmarks.ab.processes import cores
from benchmarks.ab.visit import FIGURES, Figures, VisitSize, figures
from benchmarks.options import at_least
from benchmarks.peers.tally import Stalled

#: Pairs that an interval needs.
LEAST = 6
QUICK = VisitSize(items=2_000, singles=3, tasks=200)


def pairs(old: Checkout, new: Checkout, size: VisitSize, luck: random.Random) -> Iterator[tuple[Figures, Figures]]:
    """The figures of old and new, in pairs of two visits that follow each other, without end."""
    sides = {"old": old, "new": new}
    while True:
        order = luck.choice([["old", "new"], ["new", "old"]])
        for names in (order, order[::-1]):
            answers = {name: figures(sides[name], size) for name in names}
            yield answers["old"], answers["new"]


def compared(options: argparse.Namespace, old: Checkout, new: Checkout) -> list[tuple[Figures, Figures]]:
    """As many pairs as the time allows, an even number, at least LEAST."""
    played: list[tuple[Figures, Figures]] = []
    started_at = time.monotonic()
    for pair in pairs(old, new, QUICK if options.quick else VisitSize(), random.Random(options.seed)):
        played.append(pair)
        seconds = time.monotonic() - started_at
        ratio = pair[1][FIGURES[0].name] / pair[0][FIGURES[0].name]
        print(f"pair {len(played)}, {seconds:.0f} s: {FIGURES[0].name} {ratio:.3f}", file=sys.stderr, flush=True)
        late = seconds + 2 * seconds / len(played) > 60 * options.minutes
        if len(played) >= LEAST and len(played) % 2 == 0 and (late or options.quick):
            return played
    raise AssertionError


def parser() -> argparse.ArgumentParser:
    """The options."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.ab", description=__doc__)
    parser.add_argument("old", help="a commit, or the path of a checkout")
    parser.add_argument("new", help="the same")
    parser.add_argument("--minutes", type=float, default=10, help="for all visits; three rounds run in any case")
    parser.add_argument("--margin", type=float, default=3, help="percent by which a figure may be more (default: 3)")
    parser.add_argument("--seed", type=at_least(0), default=1, help="of the order")
    parser.add_argument("--quick", action="store_true", help="tiny batches, only to see that everything runs")
    parser.add_argument("--json", type=Path, help="write the figures of each pair into this file")
    return parser


def main(arguments: Sequence[str] | None = None) -> int:
    """Compare and print."""
    options = parser().parse_args(arguments)
    load = os.getloadavg()[0]
    try:
        old, new = checkout(options.old), checkout(options.new)
        played = compared(options, old, new)
    except (NoCheckout, RuntimeError, Stalled, subprocess.CalledProcessError) as error:
        print(f"not measured: {error}", file=sys.stderr)
        return 2
    workers, others = cores()
    print(
        f"old: {old.name}; new: {new.name}. {len(played)} pairs, order by seed {options.seed}; workers on core "
        f"{workers}, server and producer on core {others}; load {load:.1f} at the start. {page.machine()}\n"
    )
    print(report.table(played, options.margin / 100))
    if options.json:
        options.json.write_text(json.dumps(played, indent=1))
    verdicts = [report.verdict(each, options.margin / 100) for each in report.intervals(played).values()]
    return int("worse" in verdicts)


if __name__ == "__main__":
    sys.exit(main())
