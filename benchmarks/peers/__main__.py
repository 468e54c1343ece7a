"""`python -m benchmarks.peers`: ours, its peers and what limits all of them, by turns, on servers alike."""

import argparse
import json
import shlex
import subprocess
import sys
import time
from collections.abc import Sequence
from dataclasses import asdict, replace
from pathlib import Path

from benchmarks import page
from benchmarks.options import at_least
from benchmarks.peers import chart, conclusion, report
from benchmarks.peers.catalog import PEERS
from benchmarks.peers.comparison import Comparison
from benchmarks.peers.limits import LIMITS, Ceiling
from benchmarks.peers.lists import LISTS
from benchmarks.peers.peer import WORKLOADS, Peer
from benchmarks.peers.rounds import Figures, Size, play
from benchmarks.peers.tally import Stalled
from gristmill.errors import ServerError

FSYNC = ("always", "everysec")
SMALL = "These are small rounds: they show that it runs, their figures say little."
Row = Peer | Ceiling
ROWS: tuple[Row, ...] = (*PEERS, *LISTS, *LIMITS)


def parser() -> argparse.ArgumentParser:
    """The options."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.peers", description=__doc__)
    names = ", ".join(row.name for row in ROWS)
    parser.add_argument("--rounds", type=at_least(1), default=7, help="at most; the median is shown (default: 7)")
    parser.add_argument("--minutes", type=float, default=38.0, help="begin no round that would end later (default: 38)")
    parser.add_argument("--peer", action="append", help=f"rows whose name has this text (default: all): {names}")
    parser.add_argument("--workload", action="append", choices=WORKLOADS, help="default: all")
    parser.add_argument("--fsync", choices=FSYNC, default="always", help="`appendfsync` of the servers")
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


def measure(
    rows: Sequence[Row], workloads: Sequence[str], rounds: int, size: Size, keep: Path | None, minutes: float
) -> Comparison:
    """Play what is left of all rounds, the rows by turns and every other time backwards; what fails is noted.

    Begins no round that would end after `minutes` if it takes as long as the one before.

    Raises:
        SystemExit: the file has rounds of another size, or of another fsync.
    """
    comparison = Comparison()
    if keep and keep.exists():
        if json.loads(keep.read_text())["size"] != asdict(size):
            parser().error(f"--json {str(keep)!r} has other rounds: expected a file of rounds like {size}")
        comparison = Comparison.read(keep)
    # The pools stand beside our batches, which are compared with them round by round.
    turns = sorted(rows, key=lambda row: isinstance(row, Peer))
    started_at, last = time.monotonic(), 0.0
    for number in range(rounds):
        since = time.monotonic()
        if since - started_at + last > 60 * minutes:
            print(f"{number} rounds took {(since - started_at) / 60:.0f} minutes; no time for more", file=sys.stderr)
            break
        for workload in workloads:
            for row in turns[:: -1 if number % 2 else 1]:
                has = workload in (row.workers if isinstance(row, Peer) else row.rounds)
                if has and not comparison.has(row.name, workload, number):
                    _measure_one(comparison, row, workload, size, number)
                    if keep:
                        keep.write_text(json.dumps({"size": asdict(size), **comparison.to_json()}, indent=1))
        last = time.monotonic() - since
    return comparison.ordered([row.name for row in rows])


def _measure_one(comparison: Comparison, row: Row, workload: str, size: Size, number: int) -> None:
    started_at, label = time.monotonic(), f"round {number + 1}: {workload}: {row.name}"
    try:
        figures = one(row, workload, size)
    except (Stalled, ServerError, RuntimeError, subprocess.CalledProcessError) as error:
        comparison.failures[row.name] = why(error)
        print(f"{label}: {error}", file=sys.stderr, flush=True)
        return
    comparison.add(row.name, workload, number, figures)
    line = ", ".join(f"{name} {value:,.1f}" for name, value in figures.items())
    print(f"{label}: {line} [{time.monotonic() - started_at:.0f} s]", file=sys.stderr, flush=True)


def why(error: Exception) -> str:
    """In a sentence, without what only this machine knows."""
    if isinstance(error, subprocess.CalledProcessError):
        return f"`{Path(error.cmd[0]).name}` ended with code {error.returncode}"
    return str(error)


def one(row: Row, workload: str, size: Size) -> Figures:
    """One round.

    Raises:
        RuntimeError: it cannot be measured here.
    """
    if isinstance(row, Peer):
        return play(row, workload, size)
    if row.missing:
        raise RuntimeError(row.missing)
    return row.rounds[workload](size)


def options_of(options: argparse.Namespace) -> str:
    """The options that decide what is measured, where they are not the usual ones."""
    words = [f" --rounds {options.rounds}"] if options.rounds != parser().get_default("rounds") else []
    for name in ("peer", "workload"):
        words += [f" --{name} {shlex.quote(value)}" for value in getattr(options, name) or ()]
    words += [f" --fsync {options.fsync}"] if options.fsync != FSYNC[0] else []
    return "".join(words) + " --quick" * options.quick


def main(arguments: Sequence[str] | None = None) -> int:
    """Measure and print the tables."""
    options = parser().parse_args(arguments)
    rows, workloads = select(options.peer), options.workload or list(WORKLOADS)
    size = Size(share=0.05, seconds=1.0, work=0.5) if options.quick else Size()
    comparison = measure(
        rows, workloads, options.rounds, replace(size, fsync=options.fsync), options.json, options.minutes
    )
    text = report.tables(comparison, f"python -m benchmarks.peers{options_of(options)}")
    settings, summary = report.settings(rows, comparison), conclusion.text(comparison)
    print("\n\n".join([*[SMALL] * options.quick, summary, text, settings]))
    if options.write and options.fsync == FSYNC[0]:
        for name, body in (("conclusion", summary), ("peers", text), ("peers-settings", settings)):
            page.write(name, body)
        page.PAGE.with_suffix(".svg").write_text(chart.svg(comparison))
    elif options.write:
        page.write(f"peers-{options.fsync}", f"{text.splitlines()[0]}\n\n{report.noops(comparison)}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
