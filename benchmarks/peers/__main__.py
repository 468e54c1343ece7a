"""`python -m benchmarks.peers`: ours, its peers and what limits all of them, by turns, on servers alike."""

import argparse
import json
import shlex
import signal
import sys
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path

from benchmarks import page
from benchmarks.options import at_least
from benchmarks.peers import chart, conclusion, report
from benchmarks.peers.comparison import Comparison
from benchmarks.peers.peer import WORKLOADS
from benchmarks.peers.rounds import Size
from benchmarks.peers.rows import ROWS, Row
from benchmarks.peers.run import PeerRun

SMALL = "These are small rounds: they show that it runs, their figures say little."


def parser() -> argparse.ArgumentParser:
    """The options."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.peers", description=__doc__)
    names = ", ".join(row.name for row in ROWS)
    parser.add_argument("--rounds", type=at_least(1), default=12, help="at most; the median is shown (default: 12)")
    parser.add_argument("--minutes", type=float, default=38.0, help="begin no round that would end later (default: 38)")
    parser.add_argument("--peer", action="append", help=f"rows whose name has this text (default: all): {names}")
    parser.add_argument("--workload", action="append", choices=WORKLOADS, help="default: all")
    parser.add_argument("--quick", action="store_true", help="small rounds: to see that it runs, not for figures")
    parser.add_argument("--json", type=Path, metavar="FILE", help="keep figures in FILE, and go on with those in there")
    parser.add_argument(
        "--write", action="store_true", help="write docs/benchmarks.md, its conclusion too, and docs/benchmarks.svg"
    )
    return parser


def select(names: Sequence[str] | None) -> list[Row]:
    """The rows whose names have one of these texts.

    Raises:
        SystemExit: a text is in no name.
    """
    for text in names or ():
        if not any(text.lower() in row.name.lower() for row in ROWS):
            allowed = "; ".join(row.name for row in ROWS)
            parser().error(f"--peer {text!r} is in no name: allowed is a part of one of: {allowed}")
    return [row for row in ROWS if not names or any(text.lower() in row.name.lower() for text in names)]


def comparison_in(keep: Path | None, size: Size) -> Comparison:
    """What a file has already.

    Raises:
        SystemExit: the file has rounds of another size.
    """
    if not keep or not keep.exists():
        return Comparison()
    if json.loads(keep.read_text())["size"] != asdict(size):
        parser().error(f"--json {str(keep)!r} has other rounds: expected a file of rounds like {size}")
    return Comparison.read(keep)


def options_of(options: argparse.Namespace) -> str:
    """The options that decide what is measured, where they are not the usual ones."""
    words = []
    for name in ("rounds", "minutes"):
        if getattr(options, name) != parser().get_default(name):
            words += [f" --{name} {getattr(options, name):g}"]
    for name in ("peer", "workload"):
        words += [f" --{name} {shlex.quote(value)}" for value in getattr(options, name) or ()]
    return "".join(words) + " --quick" * options.quick


def main(arguments: Sequence[str] | None = None) -> int:
    """Measure and print the tables."""
    options = parser().parse_args(arguments)
    rows, size = select(options.peer), Size(share=0.05, seconds=1.0, work=0.5) if options.quick else Size()
    comparison = comparison_in(options.json, size)
    run = PeerRun(comparison, size, options.json)
    run.play(rows, options.workload or list(WORKLOADS), options.rounds, options.minutes)
    comparison = comparison.ordered([row.name for row in rows])
    summary = conclusion.text(comparison)
    text = report.tables(comparison, f"python -m benchmarks.peers{options_of(options)}")
    settings = report.settings(rows, comparison)
    print("\n\n".join([*[SMALL] * options.quick, summary, text, settings]))
    if options.write:
        for name, body in (("conclusion", summary), ("peers", text), ("peers-settings", settings)):
            page.write(name, body)
        page.PAGE.with_suffix(".svg").write_text(chart.svg(comparison))
    return 0


if __name__ == "__main__":
    # Workers have sessions of their own: an end by signal would leave them.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    sys.exit(main())
