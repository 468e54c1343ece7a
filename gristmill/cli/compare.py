"""`gristmill compare`."""

import signal
from collections.abc import Callable, Generator, Sequence
from contextlib import ExitStack, closing, nullcontext
from os import W_OK, access
from pathlib import Path
from typing import Any

import click

from gristmill.cli import chart, options
from gristmill.cli.command import command as new_command
from gristmill.cli.console import Quiet, note, print_json, stderr, stdout
from gristmill.config.host import cores
from gristmill.config.words import duration
from gristmill.demo import work
from gristmill.demo.findings import findings
from gristmill.demo.home import temporary_home
from gristmill.demo.on_workers import measure_on
from gristmill.demo.row import Row
from gristmill.demo.site import Site
from gristmill.demo.sizes import longest_share, seconds_each
from gristmill.demo.way import ways
from gristmill.demo.work import Workload
from gristmill.errors import InputError
from gristmill.local.fleet import LocalFleet
from gristmill.server.connection import reaching
from gristmill.tasks import catalog
from gristmill.tasks.fibonacci import NAIVE_LIMIT
from gristmill.tasks.kinds import Kind

#: Threads, unless there are more cores.
THREADS = 16
#: Seconds of CPU-bound work, one item after another.
_LEAST, _MOST = 0.1, 600.0


def _numbers(_context: click.Context, _parameter: click.Parameter, value: str | None) -> list[int] | None:
    if value is None:
        return None
    numbers = []
    for text in value.split(","):
        digits = text.strip()
        if not (digits.isascii() and digits.isdigit() and len(digits) < 9 and int(digits) <= NAIVE_LIMIT):
            allowed = f"numbers from 0 to {NAIVE_LIMIT} with commas between are"
            raise click.BadParameter(f"{text!r} is not allowed: {allowed}")
        numbers.append(int(digits))
    return numbers


def _seconds(_context: click.Context, _parameter: click.Parameter, value: float) -> float:
    # Not a range of click's: that lets NaN pass.
    if not _LEAST <= value <= _MOST:
        raise click.BadParameter(f"{value:g} is not allowed: seconds from {_LEAST:g} to {_MOST:g} are")
    return value


@new_command("compare")
@click.option("--items", metavar="N,…", callback=_numbers, help="Compute these Fibonacci numbers: 30,35,40,45.")
@click.option(
    "--seconds",
    type=float,
    default=6.0,
    show_default=True,
    callback=_seconds,
    metavar="S",
    help="How long the CPU-bound work takes one item after another; each other work takes about half as long or less.",
)
@click.option(
    "--only", type=click.Choice([kind.value for kind in Kind]), help="Do just the CPU-bound or just the I/O-bound work."
)
@options.as_json
@click.option("--plot", metavar="FILE", help="Also draw the table as a picture (.svg or .png).")
@options.quiet
def command(items: list[int] | None, seconds: float, only: str | None, as_json: bool, plot: str | None) -> None:
    """Do the same work one after another, with threads, with processes and with both kinds of worker, side by side.

    CPU-bound work (Fibonacci numbers) shows why threads do not speed Python up where processes do; waits, pages of a
    site of its own and files show where threads are all it takes. At the end it says what the figures show.
    Everything runs on this host, in a temporary home; on two cores it takes about a minute.

    \b
    Examples:
      gristmill compare
      gristmill compare --seconds 3 --json
      gristmill compare --only cpu --items 30,35,40,45
      gristmill compare --plot compare.svg
    """
    if items and only == Kind.IO:
        raise click.UsageError("--items is for the CPU-bound work, which --only io leaves out")
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    picture = _plotter(plot)
    rows: list[Row] = []
    with closing(_measured(items, seconds, only)) as works:
        for measured in works:
            rows += measured
            if as_json:
                for row in measured:
                    print_json(row.fields())
            else:
                chart.show(measured, stdout)
    if not as_json:
        for finding in findings(rows):
            chart.say(finding, stdout)
    if plot:
        _draw(picture, rows, plot)


def _measured(numbers: list[int] | None, seconds: float, only: str | None) -> Generator[list[Row]]:
    """The rows of each work, as they are measured."""
    processes = cores()
    slots = {Kind.CPU: processes, Kind.IO: max(THREADS, processes)}
    # The site answers as fast as it is asked: the limits for strangers' hosts would be what is measured.
    limits = {"fetch_networks": "127.0.0.0/8", "fetch_host_slots": "1000", "fetch_host_rate": "100000"}
    with ExitStack() as stack:
        home = stack.enter_context(temporary_home(**limits))
        site = stack.enter_context(Site())
        stack.enter_context(reaching())
        fleet = stack.enter_context(LocalFleet("gristmill compare", slots, logs=home / "logs"))
        fleet.wait_ready()
        for kind, width in slots.items():
            # What a worker does once is not what is compared.
            measure_on(fleet, kind, "pause", [0.0] * width)
        if only != Kind.IO:
            if numbers:
                _forecast(numbers, processes)
            yield _rows(work.fibonacci(numbers) if numbers else work.computing(seconds), slots, fleet)
        if only != Kind.CPU:
            yield _rows(work.waiting(seconds), slots, fleet)
            yield _rows(work.fetching(seconds, site), slots, fleet)
            yield _rows(work.digesting(seconds, home / "data"), slots, fleet)


def _forecast(numbers: list[int], processes: int) -> None:
    """Say how long chosen numbers will take: one number more makes it 1.6 times as long."""
    alone = sum(map(seconds_each(catalog.find("fibonacci").run), numbers))
    # Four of the ways keep one core busy, and two the cores there are, but for the longest number.
    ways_of_one = 4 + 2 * max(1 / processes, longest_share(numbers))
    note(f"one after another they take about {duration(alone)}, in all ways {duration(alone * ways_of_one)}")


def _rows(chosen: Workload, slots: dict[Kind, int], fleet: LocalFleet) -> list[Row]:
    rows: list[Row] = []
    live = stderr.is_terminal and not Quiet.on
    # Its spinner turns slowly: it takes the time of the cores that are measured.
    with stderr.status(chosen.title, refresh_per_second=2) if live else nullcontext() as status:
        if status is None:
            note(f"{chosen.title} …")
        for way in ways(slots[Kind.IO], slots[Kind.CPU]):
            if status:
                status.update(f"{chosen.title}: {way.label} …")
            took = way.measure(chosen, fleet)
            rows.append(Row(chosen, way, took, rows[0].took.seconds if rows else took.seconds))
    return rows


def _draw(picture: Callable[[Sequence[Row], Path], None], rows: Sequence[Row], plot: str) -> None:
    try:
        picture(rows, Path(plot))
    except OSError as error:
        raise InputError(f"--plot: {plot!r} cannot be written: {error.strerror or error}") from None
    note(f"picture: {plot}")


def _plotter(plot: str | None) -> Any:
    """What draws the picture; asked for before anything is measured, so that nothing is measured in vain."""
    if plot is None:
        return None
    path = Path(plot)
    if path.suffix.lower() not in (".svg", ".png"):
        raise click.BadParameter(f"{plot!r} is not allowed: a name ending in .svg or .png is", param_hint="--plot")
    if path.is_dir() or not access(path if path.exists() else path.parent, W_OK):
        raise click.BadParameter(f"{plot!r} is not allowed: a file that can be written is", param_hint="--plot")
    try:
        from gristmill.demo.picture import draw
    except ImportError:
        raise click.UsageError("--plot needs matplotlib: pip install 'matplotlib>=3.10'") from None
    return draw
