"""The options that bound the items of a batch."""

from collections.abc import Callable
from typing import Any, TypeVar

import click

from gristmill.cli.values import Duration, Integer, Parsed
from gristmill.config.limits import checked_max_running, checked_rate
from gristmill.producer.batch_options import LONGEST_SECONDS, RETRIES_MOST

Command = TypeVar("Command", bound=Callable[..., Any])


def item_limits(command: Command) -> Command:
    """The limits of an item, how many items run at once, and how many start in a time."""
    retries = click.option(
        "--retries",
        type=Integer(0, RETRIES_MOST),
        metavar="N",
        help="Times that an item that failed is tried again; default: as the task says, else 0.",
    )
    time_limit = click.option(
        "--time-limit",
        type=Duration(0, LONGEST_SECONDS),
        metavar="DURATION",
        help="How long an item may run, such as 30s or 5m, 0 for no limit; default: as the task says.",
    )
    max_running = click.option(
        "-j",
        "--max-running",
        type=Parsed(checked_max_running),
        metavar="N|N%|+N",
        help="Items that run at once, over all workers: N, a share of the slots, or N more than they are.",
    )
    rate = click.option(
        "--rate",
        type=Parsed(checked_rate),
        metavar="N/s|N/m|N/h",
        help="Items that are handed out in a time, over all workers, such as 10/s or 600/m.",
    )
    limit_by = click.option(
        "--limit-by",
        metavar="NAME",
        help="Have -j and --rate hold for each value of NAME: a parameter, a column, or host for fetch.",
    )
    return retries(time_limit(max_running(rate(limit_by(command)))))
