"""`gristmill schedule`."""

from collections.abc import Iterator
from contextlib import contextmanager

import click

from gristmill.batches.schedules import Schedules
from gristmill.cli import options
from gristmill.cli.command import Group
from gristmill.cli.console import note, show, write
from gristmill.config.settings import settings
from gristmill.local.running_server import server_for_reading
from gristmill.server.connection import client, reaching

_COLUMNS = ["name", "timetable", "timezone", "next", "last batch", "runs", "left out", "task", "items"]

schedule = click.argument("schedule", metavar="SCHEDULE")


@click.group("schedule", cls=Group)
def command() -> None:
    """List, run, pause, resume or delete schedules: `submit --cron` and `submit --every` make them.

    A schedule makes a batch of its items at each of its times. Any live worker does that.

    \b
    Examples:
      gristmill schedule list
      gristmill schedule run nightly
      gristmill schedule pause nightly
    """


@contextmanager
def _schedules() -> Iterator[Schedules]:
    with server_for_reading(), reaching():
        yield Schedules(client(), settings())


@command.command("list", short_help="List the schedules, oldest first.")
@options.as_json
@options.quiet
def list_them(as_json: bool) -> None:
    """List the schedules, oldest first: times, next time, last batch.

    \b
    Examples:
      gristmill schedule list
      gristmill schedule list --json | jq -r 'select(.paused).name'
    """
    with _schedules() as schedules:
        infos = schedules.infos()
    if not infos and not as_json:
        note("no schedules: gristmill submit TASK ITEM --name nightly --cron '30 2 * * *' makes one")
        return
    rows = [info.as_dict() for info in infos]
    if not as_json:
        rows = [{**row, "next": "paused" if row["paused"] else row["next"]} for row in rows]
    show(_COLUMNS, rows, as_json=as_json, right="runs left_out items")


@command.command("run", short_help="Make a batch of a schedule now.")
@schedule
@options.quiet
def run(schedule: str) -> None:
    """Make a batch of SCHEDULE now, and print the batch's name; its times stay as they are.

    \b
    Examples:
      gristmill schedule run nightly
      gristmill watch "$(gristmill schedule run nightly)"
    """
    with _schedules() as schedules:
        batch = schedules.run(schedule)
    write(batch)
    note(f"follow it with: gristmill watch {batch}")


@command.command("pause", short_help="Make no batches of a schedule for now.")
@schedule
@options.quiet
def pause(schedule: str) -> None:
    """Make no batches of SCHEDULE until `gristmill schedule resume`; those that were made go on.

    \b
    Examples:
      gristmill schedule pause nightly
    """
    with _schedules() as schedules:
        changed = schedules.pause(schedule)
    note(f"schedule {schedule} {'is' if changed else 'was'} paused{'' if changed else ' already'}")


@command.command("resume", short_help="Go on with a paused schedule.")
@schedule
@options.quiet
def resume(schedule: str) -> None:
    """Go on with SCHEDULE from its next time on; what was due while it was paused is not made up for.

    \b
    Examples:
      gristmill schedule resume nightly
    """
    with _schedules() as schedules:
        changed = schedules.resume(schedule)
        info = schedules.info(schedule)
    times = info.as_dict()["next"] or "never"
    note(f"schedule {schedule} is due next: {times}" if changed else f"schedule {schedule} was not paused")


@command.command("delete", short_help="Delete a schedule; its batches stay.")
@schedule
@options.quiet
def delete(schedule: str) -> None:
    """Delete SCHEDULE with its items; the batches that were made of it stay.

    \b
    Examples:
      gristmill schedule delete nightly
    """
    with _schedules() as schedules:
        schedules.delete(schedule)
    note(f"deleted schedule {schedule}")
