"""The options that bound the items of a batch."""

import click

from gristmill.cli.options.group import option_group
from gristmill.cli.options.values import Duration, Integer, Parsed
from gristmill.config.limits import checked_max_running, checked_rate
from gristmill.producer.batch_options import RETRIES_MOST

#: The limits of an item, how many items run at once, and how many start in a time.
item_limits = option_group(
    click.option(
        "--retries",
        type=Integer(0, RETRIES_MOST),
        metavar="N",
        help="Times that a failed item is tried again; default: as the task says, else 0.",
    ),
    click.option(
        "--time-limit",
        type=Duration(),
        metavar="DURATION",
        help="How long an item may run, such as 30s or 5m, 0 for no limit; default: as the task says.",
    ),
    click.option(
        "-j",
        "--max-running",
        type=Parsed(checked_max_running),
        metavar="N|N%|+N",
        help="Items that run at once, over all workers: N, a share of the slots, or N more than the slots.",
    ),
    click.option(
        "--rate",
        type=Parsed(checked_rate),
        metavar="N/s|N/m|N/h",
        help="Items handed out in a given time, over all workers, such as 10/s or 600/m.",
    ),
    click.option(
        "--limit-by",
        metavar="NAME",
        help="Have -j and --rate hold for each value of NAME: a parameter, a column, or host for fetch.",
    ),
)
