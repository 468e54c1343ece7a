"""`gristmill retry`."""

import click

from gristmill.batches.control import Control
from gristmill.batches.info import State
from gristmill.cli import options
from gristmill.cli.command import command as new_command
from gristmill.cli.console import note, warn
from gristmill.cli.lookup import batch_to_change
from gristmill.cli.start_advice import say_how_to_follow, warn_of_workers
from gristmill.config import settings
from gristmill.config.figures import item_count
from gristmill.server.connection import client


@new_command("retry")
@options.batch
@click.option("--cancelled", is_flag=True, help="Run the cancelled items again too.")
@options.quiet
def command(batch: str | None, cancelled: bool) -> None:
    """Run the failed and dead items of BATCH again, and no others.

    On a terminal, BATCH defaults to the batch last submitted from this host. The command does not wait for the items.
    Correct the cause of the failures first and restart the workers; the items stay as you submitted them.

    \b
    Examples:
      gristmill retry && gristmill watch
      gristmill retry first --cancelled
    """
    with batch_to_change(batch) as (target, fleet):
        warn_of_workers(target.info(), fleet=fleet)
        number = Control(client(), settings()).retry(target.name, cancelled=cancelled)
        info = target.info()
    if not number:
        others = f"; {info.cancelled:,} are cancelled (--cancelled runs them again)" if info.cancelled else ""
        note(f"batch {info.name} has no failed items{others}")
        return
    note(f"batch {info.name}: {item_count(number, 'run')} again")
    if info.state is State.PAUSED:
        warn(f"batch {info.name} is paused: the items wait for `gristmill resume {info.name}`")
    say_how_to_follow(info, fleet=fleet)
