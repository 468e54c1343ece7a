"""The options that make a batch follow others."""

import click

from gristmill.cli import completing
from gristmill.cli.options.group import option_group
from gristmill.cli.options.values import Parsed
from gristmill.config.names import checked_name
from gristmill.producer.follow_ups import checked_after
from gristmill.producer.item_states import item_states

#: For whose end a batch waits, and which one gives it its items.
follow_ups = option_group(
    click.option(
        "--after",
        multiple=True,
        type=Parsed(checked_after, keep_text=True),
        # A list: a pair would be a batch and a word.
        callback=lambda _context, _parameter, conditions: list(conditions),
        metavar="BATCH[:ended]",
        shell_complete=completing.batches,
        help="Begin once all items of BATCH have succeeded, or, with :ended, have ended; repeatable.",
    ),
    click.option(
        "--from-batch",
        type=Parsed(checked_name),
        metavar="BATCH",
        shell_complete=completing.batches,
        help="Take the values of BATCH as items, as they are recorded.",
    ),
    click.option("--flatten", is_flag=True, help="With --from-batch: each element of a list is an item of its own."),
    click.option(
        "--state",
        type=Parsed(item_states),
        metavar="STATE,…",
        help="With --from-batch: take items in these states, failed ones with their input; default: succeeded.",
    ),
    click.option(
        "--notify",
        metavar="URL",
        help="Tell URL when the batch has ended, or is stuck: an HTTP POST of JSON, sent by a worker.",
    ),
)
