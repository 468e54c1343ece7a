"""`gristmill compare`."""

import signal
from collections.abc import Callable, Generator, Sequence
from contextlib import ExitStack, closing, nullcontext
from os import W_OK, access
from pathlib import Path
from typing import Any

import click

from gristmill.cli import options
from gristmill.cli.command import command as new_command
from gristmill.cli.console import Quiet, as_they_come, note, print_json
from gristmill.cli.options.values import Duration, OneOf, Parsed
from gristmill.cli.output import chart
from gristmill.cli.terminal import stderr, stdout
from gristmill.cli.writable import why_no_file
from gristmill.config.figures import duration
from gristmill.config.host import cores
from gristmill.demo import work
from gristmill.demo.findings import findings
from gristmill.demo.home import temporary_home
from gristmill.demo.on_workers import measure_on
from gristmill.demo.row import Row
from gristmill.demo.site import NO_LIMITS, Site
from gristmill.demo.sizes import longest_share, seconds_each
from gristmill.demo.way import ways
from gristmill.demo.work import Workload
from gristmill.errors import InputError, invalid_value
from gristmill.local.fleet import LocalFleet
from gristmill.server.connection import reaching
from gristmill.tasks import catalog
from gristmill.tasks.fibonacci import NAIVE_LIMIT
from gristmill.tasks.kind import Kind

#: Threads, unless there are more cores.
THREADS = 16
#: Seconds of CPU-bound work, one item after another.
_SECONDS, _LEAST, _MOST = 6.0, 0.1, 600.0


def _numbers(words: str) -> list[int]:
    numbers = []
    for text in words.split(","):
        digits = text.strip()
        if not (digits.isascii() and digits.isdigit() and len(digits) < 9 and int(digits) <= NAIVE_LIMIT):
            expected = f"integers from 0 to {NAIVE_LIMIT}, with commas between"
            raise InputError(invalid_value("--items", text, expected))
        numbers.append(int(digits))
    return numbers


@new_command("compare")
@click.option(
    "--items", type=Parsed(_numbers), metavar="N,…", help="Compute these Fibonacci numbers, such as 30,35,40,45."
)
@click.option(
    "--seconds",
    type=Duration(_LEAST, _MOST),
    metavar="S",
    help=f"How long the CPU-bound work takes one item after another; default: {_SECONDS:g}. Other work takes less.",
)
@click.option("--only", type=OneOf(Kind), help="Do the CPU-bound work only, or the I/O-bound work only.")
@options.as_json
@click.option("--plot", metavar="FILE", help="Draw the table as a picture too, .svg or .png.")
@options.quiet
def command(items: list[int] | None, seconds: float | None, only: str | None, as_json: bool, plot: str | None) -> None:
    """Measure the same work sequentially, with threads, with processes and with both kinds of worker, side by side.

    CPU-bound work (Fibonacci numbers) shows why processes speed Python up and threads do not. Waits, fetches of pages
    and digests of files show where threads are enough. At the end, sentences say what the figures show. Everything
    runs on this host, in a temporary home; on two cores it takes about a minute.

    \b
    Examples:
      gristmill compare
      gristmill compare --seconds 3 --json
      gristmill compare --only cpu --items 30,35,40,45
      gristmill compare --plot compare.svg
    """
    if items and only == Kind.IO:
        raise click.UsageError("--items is for the CPU-bound work, which --only io leaves out")
    if items and seconds and only == Kind.CPU:
        raise click.UsageError("--items and --seconds both say how much CPU-bound work to do: give one of them")
    seconds = seconds or _SECONDS
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    picture = _plotter(plot)
    rows: list[Row] = []
    with closing(_rows_of_works(items, seconds, only)) as works:
        for work_rows in as_they_come(works):
            rows += work_rows
            if as_json:
                for row in work_rows:
                    print_json(row.fields())
            else:
                chart.show(work_rows, stdout)
    if not as_json:
        for finding in findings(rows):
            chart.say(finding, stdout)
    if plot:
        _draw(picture, rows, plot)


def _rows_of_works(numbers: list[int] | None, seconds: float, only: str | None) -> Generator[list[Row]]:
    """Yield the rows of each work, once it is measured."""
    processes = cores()
    slots = {Kind.CPU: processes, Kind.IO: max(THREADS, processes)}
    workers = {str(kind): width for kind, width in slots.items()}
    with ExitStack() as stack:
        # Each task runs on both workers.
        home = stack.enter_context(temporary_home(**NO_LIMITS, any_pool="true"))
        site = stack.enter_context(Site())
        stack.enter_context(reaching())
        fleet = stack.enter_context(LocalFleet("gristmill compare", workers, logs=home / "logs"))
        fleet.wait_ready()
        for kind, width in slots.items():
            # A worker does some things once, with its first items: these are not compared.
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
    """Say how long these numbers will take: each number more takes 1.6 times as long."""
    sequential = sum(map(seconds_each(catalog.find("fibonacci").run), numbers))
    # Four of the ways keep one core busy; two keep all cores busy, except for the longest number.
    ways_of_one = 4 + 2 * max(1 / processes, longest_share(numbers))
    note(f"one after another they take about {duration(sequential)}, in all ways {duration(sequential * ways_of_one)}")


def _rows(workload: Workload, slots: dict[Kind, int], fleet: LocalFleet) -> list[Row]:
    rows: list[Row] = []
    live = stderr.is_terminal and not Quiet.on
    # The spinner turns slowly: it takes time of the cores that the command measures.
    with stderr.status(workload.title, refresh_per_second=2) if live else nullcontext() as status:
        if status is None:
            note(f"{workload.title} …")
        for way in ways(slots[Kind.IO], slots[Kind.CPU]):
            if status:
                status.update(f"{workload.title}: {way.label} …")
            measurement = way.measure(workload, fleet)
            sequential = rows[0].measurement.seconds if rows else measurement.seconds
            rows.append(Row(workload, way, measurement, sequential))
    return rows


def _draw(picture: Callable[[Sequence[Row], Path], None], rows: Sequence[Row], plot: str) -> None:
    try:
        picture(rows, Path(plot))
    except OSError as error:
        raise InputError(f"cannot write the picture to {plot!r}: {error.strerror or error}") from None
    note(f"picture: {plot}")


def _plotter(plot: str | None) -> Any:
    """The function that draws the picture, or None; checked first, so that the command measures nothing in vain."""
    if plot is None:
        return None
    path = Path(plot)
    if path.suffix.lower() not in (".svg", ".png"):
        raise click.BadParameter(f"{plot!r} (expected a name that ends in .svg or .png)", param_hint="--plot")
    if path.is_dir() or (not access(path, W_OK) if path.exists() else why_no_file(path.parent)):
        raise click.BadParameter(f"{plot!r} (expected a file that can be written)", param_hint="--plot")
    try:
        from gristmill.demo.picture import draw
    except ImportError:
        raise click.UsageError("--plot needs matplotlib: pip install 'matplotlib>=3.10'") from None
    return draw
