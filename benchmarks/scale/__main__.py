"""`python -m benchmarks.scale`: what the server spends on an item while many batches are live, and on many workers.

Each part has a server of its own. Workers are simulated: few processes send what real workers send, through the same
classes.
"""

import argparse
import json
import sys
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from benchmarks import page
from benchmarks.options import at_least
from benchmarks.quantile import quantile
from benchmarks.scale import fleet, live
from benchmarks.scale.fleet import FleetLoad, Joining
from benchmarks.scale.live import Live
from benchmarks.started import server_of_settings

SIZES, WORKERS = (20, 100, 1_000, 10_000), (50, 500)


def table(rows: Sequence[Live]) -> str:
    """A line for each number of batches."""
    head = ["live batches", "items run", "items/s", "server CPU of an item, µs", "to the first"]
    head += ["longest script, ms", "server CPU of a second without work, ms", "longest script then, ms"]
    head += ["`gristmill batches`, s", "errors"]
    lines = [
        [
            f"{row.batches:,}",
            f"{row.items:,}",
            f"{row.items / row.seconds:,.0f}",
            f"{row.item:,.0f}",
            f"{row.item / rows[0].item:.2f}×",
            row.script,
            f"{row.quiet:,.1f}",
            row.quiet_script,
            f"{row.listing:.2f}",
            f"{row.errors:,}",
        ]
        for row in rows
    ]
    scripts = [f"- {row.batches:,} batches, an item: {row.scripts}" for row in rows]
    return page.table(head, lines) + "\n" + "\n".join(scripts) + "\n"


def fleet_table(rows: Sequence[FleetLoad], joining: Joining) -> str:
    """A line for each number of workers, and what joining costs."""
    head = ["workers", "slots that hold a chunk", "server CPU of a second, ms", "of a worker, ms", "commands/s"]
    head += ["take, p50, ms", "p99, ms", "record, p50, ms", "p99, ms", "longest script, ms", "drivers late, p99, ms"]
    lines = [
        [f"{row.workers:,} × {row.slots}", f"{row.busy:,}"]
        + [f"{1e3 * row.cpu:,.0f}", f"{1e3 * row.cpu / row.workers:.2f}", f"{row.commands:,.0f}"]
        + [f"{1e3 * quantile(times, share):.1f}" for times in (row.takes, row.records) for share in (0.5, 0.99)]
        + [row.script, f"{row.late99:,.0f}"]
        for row in rows
    ]
    scripts = [f"- {row.workers:,} workers, a second: {row.scripts}" for row in rows]
    join = (
        f"A worker that joins takes {joining.first:,.0f} µs of the server's CPU, mean of the first hundred; "
        f"{joining.last:,.0f} µs, {joining.last / joining.first:.2f}×, mean of the last hundred of {joining.workers:,}."
    )
    parts = [page.table(head, lines), "\n".join(scripts) + "\n", events_table(rows), pages_table(rows), f"{join}\n"]
    return "\n".join(parts)


def events_table(rows: Sequence[FleetLoad]) -> str:
    """Joining all at once, and the death of a rack."""
    head = ["workers", "asked to join within, s", "all joined after, s", "server CPU of a second, ms"]
    head += ["longest script, ms", "the rack's workers", "messages it held", "of these elsewhere", "after, s"]
    lines = [
        [
            f"{row.workers:,}",
            f"{row.storm:g}",
            f"{row.joined:.1f}",
            f"{1e3 * row.join_cpu:,.0f}",
            row.join_script,
            f"{row.rack}",
            f"{row.rack_messages:,}",
            f"{row.handed_on:,}",
            f"{row.back:.1f}",
        ]
        for row in rows
    ]
    return page.table(head, lines)


def pages_table(rows: Sequence[FleetLoad]) -> str:
    """The dashboard's answers meanwhile."""
    lines = [
        [f"{row.workers:,}", f"`/{name}`", *(f"{quantile(times, share):.0f}" for share in (0.5, 0.99))]
        for row in rows
        for name, times in row.pages.items()
    ]
    return page.table(["workers", "page", "p50, ms", "p99, ms"], lines)


def parser() -> argparse.ArgumentParser:
    """The options."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.scale", description=__doc__)
    numbers: dict[str, Any] = {"type": at_least(0), "nargs": "*", "metavar": "N"}
    parser.add_argument("--sizes", **numbers, default=SIZES, help="numbers of live batches; none: not measured")
    parser.add_argument("--batches", type=at_least(1), default=300, help="batches of 20 items that flow through")
    parser.add_argument("--seconds", type=float, default=20, help="at most for these, at each number of live batches")
    parser.add_argument("--workers", **numbers, default=WORKERS, help="numbers of workers; none: not measured")
    parser.add_argument("--slots", type=at_least(1), default=8, help="slots of each worker")
    parser.add_argument("--storm", type=float, default=5, help="seconds within which all workers join")
    parser.add_argument("--rack", type=at_least(0), metavar="N", help="workers that die at once (default: a tenth)")
    parser.add_argument("--json", type=Path, help="write the figures into this file")
    return parser


def main(arguments: Sequence[str] | None = None) -> int:
    """Measure and print."""
    options = parser().parse_args(arguments)
    rows, loads = list[Live](), list[FleetLoad]()
    if options.sizes:
        with server_of_settings("benchmarks.noops"):
            for row in live.measure(options.sizes, options.batches, options.seconds):
                rows.append(row)
                print(row, file=sys.stderr, flush=True)
        print(table(rows), flush=True)
    if options.workers:
        for workers in sorted(options.workers):
            with server_of_settings("benchmarks.noops"):
                rack = workers // 10 if options.rack is None else min(options.rack, workers - 1)
                loads.append(fleet.measure(workers, options.slots, options.seconds, options.storm, rack))
                print(loads[-1], file=sys.stderr, flush=True)
        with server_of_settings("benchmarks.noops"):
            join = fleet.joining(max(options.workers), options.slots)
        print(fleet_table(loads, join), flush=True)
    if options.json:
        options.json.write_text(json.dumps([asdict(row) for row in (*rows, *loads)], indent=1))
    return 0


if __name__ == "__main__":
    sys.exit(main())
