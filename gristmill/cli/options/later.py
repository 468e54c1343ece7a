"""The options with which `submit` has a batch begin later, or makes a schedule."""

from typing import Any

import click

from gristmill.batches.schedules import MISSED, OVERLAP
from gristmill.batches.timetable import EVERY_LEAST, checked_timezone
from gristmill.cli.options.group import option_group
from gristmill.cli.options.values import Duration, OneOf, Parsed
from gristmill.producer.schedule import ScheduleOptions
from gristmill.producer.start_time import StartTime

#: The options of which one at most says when.
_TIMES = {"at": "--at", "delay": "--in", "cron": "--cron", "every": "--every"}
_SCHEDULES = {"missed": "--missed", "overlap": "--overlap"}


#: When a batch begins, or when batches are made of the items.
later = option_group(
    click.option("--at", metavar="TIME", help="When the batch begins, such as 2026-01-31T02:30 or 02:30."),
    click.option(
        "--in",
        "delay",
        type=Duration(1),
        metavar="DURATION",
        help="How long from now the batch begins, such as 90s or 2h.",
    ),
    click.option(
        "--cron", metavar="EXPRESSION", help="Make a schedule: a batch of the items at times such as '30 2 * * *'."
    ),
    click.option(
        "--every",
        type=Duration(EVERY_LEAST),
        metavar="DURATION",
        help="Make a schedule: a batch of the items at this interval.",
    ),
    click.option(
        "--tz",
        type=Parsed(checked_timezone),
        metavar="ZONE",
        help="Time zone of --at and --cron, such as Europe/Berlin; default: this host's.",
    ),
    click.option(
        "--missed",
        type=OneOf(MISSED),
        help="One run of the schedule for all times at which no worker was alive, or none; default: once.",
    ),
    click.option(
        "--overlap",
        type=OneOf(OVERLAP),
        help="What to do while the previous run still runs: no new run, or one after it; default: skip.",
    ),
)


def start_time_of(feeding: dict[str, Any]) -> StartTime | None:
    """When the batch begins; None: at once, or by a schedule.

    Raises:
        InputError: the time is not valid.
        click.UsageError: the options do not go together.
    """
    values = [option for name, option in _TIMES.items() if feeding.get(name) is not None]
    if len(values) > 1:
        raise click.UsageError(f"{values[0]} does not go with {values[1]}")
    if values and feeding.get("append"):
        raise click.UsageError(f"{values[0]} does not go with --append")
    if feeding.get("tz") and not {"--at", "--cron"} & {*values}:
        raise click.UsageError("--tz goes with --at or --cron")
    if feeding.get("at") is not None:
        return StartTime.of(feeding["at"], feeding["tz"])
    return None if feeding.get("delay") is None else StartTime(delay=feeding["delay"])


def schedule_of(feeding: dict[str, Any]) -> ScheduleOptions | None:
    """The schedule to make; None without one.

    Raises:
        InputError: the expression is not valid.
        click.UsageError: the options do not go together.
    """
    if feeding.get("cron") is None and feeding.get("every") is None:
        for name, option in _SCHEDULES.items():
            if feeding.get(name) is not None:
                raise click.UsageError(f"{option} goes with --cron or --every")
        return None
    if feeding["name"] is None:
        raise click.UsageError("--cron and --every go with --name, by which the schedule and its batches are called")
    words = {name: feeding[name] for name in ("cron", "every", "tz", "missed", "overlap")}
    return ScheduleOptions.of(words.pop("cron"), words.pop("every"), **words)
