"""`python -m benchmarks.ab OLD NEW`, `make ab OLD=… NEW=…`: whether a commit is slower than another, by a few percent.

OLD and NEW are commits or paths of checkouts, or one commit with two settings (`--old-env`). Each runs with its own
environment, server, workers and producer; workers are pinned to one core, all else to another. In a round both live at
once and take turns (old, new, new, old, or the other way round), so that a drift of the machine meets both alike. The
exit code is 1 if a figure is worse.
"""

import argparse
import json
import os
import random
import subprocess
import sys
import time
from collections.abc import Sequence
from dataclasses import asdict, replace
from pathlib import Path

from benchmarks import page
from benchmarks.ab import report
from benchmarks.ab.checkout import Checkout, NoCheckout, checkout
from benchmarks.ab.interval import FEWEST
from benchmarks.ab.processes import cores
from benchmarks.ab.round import SIDES, BothSides, play
from benchmarks.ab.visit import MEASURES, VisitSize
from benchmarks.options import at_least
from benchmarks.peers.tally import Stalled

NAMES = tuple(measure.name for measure in MEASURES)
QUICK = VisitSize(turns=1, items=2_000, computed=100, singles=3, tasks=200)


def compared(options: argparse.Namespace, old: Checkout, new: Checkout) -> list[BothSides]:
    """As many rounds as the time allows, at least FEWEST."""
    rounds: list[BothSides] = []
    size, luck = QUICK if options.quick else VisitSize(), random.Random(options.seed)
    measures = [measure for measure in MEASURES if measure.name in (options.only or NAMES)]
    started_at = time.monotonic()
    while True:
        rounds.append(play({"old": old, "new": new}, size, luck, measures))
        seconds = time.monotonic() - started_at
        ratios = ", ".join(f"{ratio:.3f}" for ratio in rounds[-1].ratios.values())
        print(f"round {len(rounds)}, {seconds:.0f} s, new to old: {ratios}", file=sys.stderr, flush=True)
        late = seconds + seconds / len(rounds) > 60 * options.minutes
        if len(rounds) >= FEWEST and (late or options.quick):
            return rounds


def variable(text: str) -> tuple[str, str]:
    """The name and the value of a variable."""
    name, equals, value = text.partition("=")
    if not name or not equals:
        raise argparse.ArgumentTypeError(f"{text!r} (expected NAME=VALUE)")
    return name, value


def parser() -> argparse.ArgumentParser:
    """The options."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.ab", description=__doc__)
    parser.add_argument("old", help="a commit, or the path of a checkout")
    parser.add_argument("new", help="the same")
    for side in SIDES:
        parser.add_argument(
            f"--{side}-env",
            type=variable,
            action="append",
            default=[],
            metavar="NAME=VALUE",
            help=f"a variable of the environment of all programs of {side}, such as GRISTMILL_METERS=false; repeatable",
        )
    parser.add_argument("--minutes", type=float, default=10, help="for all rounds; six run in any case")
    parser.add_argument("--margin", type=float, default=3, help="percent by which a figure may be more (default: 3)")
    parser.add_argument("--seed", type=at_least(0), default=1, help="of the order")
    parser.add_argument("--only", nargs="+", choices=NAMES, help="what to measure (default: everything)")
    parser.add_argument("--quick", action="store_true", help="tiny batches, only to see that everything runs")
    parser.add_argument("--json", type=Path, help="write the figures of each round into this file")
    return parser


def main(arguments: Sequence[str] | None = None) -> int:
    """Compare and print."""
    options = parser().parse_args(arguments)
    load = os.getloadavg()[0]
    try:
        old = replace(checkout(options.old), environ=dict(options.old_env))
        new = replace(checkout(options.new), environ=dict(options.new_env))
        rounds = compared(options, old, new)
    except (NoCheckout, RuntimeError, Stalled, subprocess.CalledProcessError) as error:
        print(f"not measured: {error}", file=sys.stderr)
        return 2
    workers, others = cores()
    print(
        f"old: {old}; new: {new}. {len(rounds)} rounds, order by seed {options.seed}; workers on core "
        f"{workers}, server and producer on core {others}; load {load:.1f} at the start. {page.machine()}\n"
    )
    print(report.table(rounds, options.margin / 100))
    if options.json:
        options.json.write_text(json.dumps([asdict(each) for each in rounds], indent=1))
    verdicts = [report.verdict(each, options.margin / 100) for each in report.intervals(rounds).values()]
    return int("worse" in verdicts)


if __name__ == "__main__":
    sys.exit(main())
