"""`gristmill compare`."""

import signal
import time
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import click
import psutil

from broker.connection import reaching
from config.host import cores
from producer.cli import options
from producer.cli.console import note, print_json, table
from producer.fleet import LocalFleet
from producer.samples.home import temporary_home
from producer.samples.one_core import Measured, measure
from producer.samples.sizes import mixed
from producer.submission import submit
from tasks import catalog
from tasks.kinds import Kind

#: Seconds that each kind of work takes one after another.
SECONDS = 4.0
FIBONACCI_ITEMS, FIBONACCI_SIZES, WAITS, WAIT_SECONDS, THREADS = 80, 8, 40, 0.1, 16


@dataclass(frozen=True, slots=True)
class Row:
    """One way to do one kind of work. `speedup` is over doing it sequentially; `cores` is processor time over
    wall time: how many cores were busy on average."""

    work: str
    way: str
    seconds: float
    speedup: float
    cores: float


@click.command("compare")
@options.as_json
@click.option("--plot", metavar="FILE", help="Also draw the table as a picture (.svg or .png).")
@options.quiet
def command(as_json: bool, plot: str | None) -> None:
    """Do the same work sequentially, with threads, with processes and with both kinds of worker, side by side.

    CPU-bound work (Fibonacci numbers) shows why threads do not speed Python up where processes do; waits show
    where threads are all it takes. Everything runs on this host, in a temporary home; it takes about half a minute.

    \b
    Examples:
      gristmill compare
      gristmill compare --json
      gristmill compare --plot compare.svg
    """
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    picture = _plotter(plot)
    width = cores()
    numbers = mixed(FIBONACCI_ITEMS, FIBONACCI_SIZES, SECONDS, catalog.find("fibonacci").run)
    works: list[tuple[str, str, list[Any]]] = [
        (f"CPU-bound: {len(numbers)} Fibonacci numbers", "fibonacci", numbers),
        (f"waiting: {WAITS} × {WAIT_SECONDS:g} s", "pause", [WAIT_SECONDS] * WAITS),
    ]
    slots = {Kind.CPU: width, Kind.IO: THREADS}
    with temporary_home() as home, reaching(), LocalFleet("gristmill compare", slots, logs=home / "logs") as fleet:
        fleet.wait_ready()
        rows: list[Row] = []
        for work, task, items in works:
            rows += _rows(work, _measured(fleet, task, items, width))
    if as_json:
        for row in rows:
            print_json(asdict(row))
    else:
        _show(rows)
    if plot:
        picture(rows, Path(plot))
        note(f"picture: {plot}")


def _measured(fleet: LocalFleet, task: str, items: list[Any], width: int) -> Iterator[tuple[str, Measured]]:
    yield "sequential", measure("sequential", task, items)
    yield f"threading, {THREADS} threads", measure("threading", task, items, THREADS)
    yield f"multiprocessing.Pool, {width} processes", measure("multiprocessing.Pool", task, items, width)
    yield f"thread worker, {THREADS} threads", _on_workers(fleet, task, items, Kind.IO)
    yield f"process worker, {width} processes", _on_workers(fleet, task, items, Kind.CPU)


def _on_workers(fleet: LocalFleet, task: str, items: list[Any], kind: Kind) -> Measured:
    """Submit the items and wait; from before the first is sent until the last is recorded."""
    note(f"{task} on the {kind} worker …")
    cpu, begun = _processor_seconds(fleet.pids), time.monotonic()
    submit(task, items, queue=kind).wait()
    return Measured(time.monotonic() - begun, _processor_seconds(fleet.pids) - cpu)


def _processor_seconds(pids: list[int]) -> float:
    """Processor time of the processes and their children so far."""
    family = [member for pid in pids for member in _family(pid)]
    return sum(used.user + used.system for used in (member.cpu_times() for member in family))


def _family(pid: int) -> list[psutil.Process]:
    parent = psutil.Process(pid)
    return [parent, *parent.children(recursive=True)]


def _rows(work: str, measured: Iterator[tuple[str, Measured]]) -> Iterator[Row]:
    alone = 0.0
    for way, took in measured:
        alone = alone or took.seconds
        busy = took.cpu_seconds / took.seconds
        yield Row(work, way, round(took.seconds, 2), round(alone / took.seconds, 2), round(busy, 2))


def _show(rows: list[Row]) -> None:
    for work in dict.fromkeys(row.work for row in rows):
        lines = [
            [row.way, f"{row.seconds:.2f}", f"{row.speedup:.2f}×", f"{row.cores:.2f}"]
            for row in rows
            if row.work == work
        ]
        table(work, ["way", "seconds", "speed-up", "cores busy"], lines, right="seconds speed-up cores_busy")


def _plotter(plot: str | None) -> Any:
    """What draws the picture; asked for before anything is measured, so that nothing is measured in vain."""
    if plot is None:
        return None
    if Path(plot).suffix not in (".svg", ".png"):
        raise click.BadParameter(f"{plot!r} is not allowed: a name ending in .svg or .png is", param_hint="--plot")
    try:
        from producer.samples.picture import draw
    except ImportError:
        raise click.UsageError("--plot needs matplotlib: pip install 'matplotlib>=3.10'") from None
    return draw
