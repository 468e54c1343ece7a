"""`gristmill retry`."""

import click

from gristmill.batches.control import Control
from gristmill.batches.info import State
from gristmill.cli import options
from gristmill.cli import workflow as workflows
from gristmill.cli.command import command as new_command
from gristmill.cli.console import note, warn
from gristmill.cli.lookup import batch_to_change
from gristmill.cli.start_advice import say_how_to_follow, warn_of_workers
from gristmill.config.figures import item_count
from gristmill.config.settings import settings
from gristmill.server.connection import client


@new_command("retry")
@options.batch
@options.item
@click.option("--cancelled", is_flag=True, help="Run the cancelled items again too.")
@workflows.option
@options.quiet
def command(batch: str | None, item: int | None, cancelled: bool, workflow: str | None) -> None:
    """Run the failed and dead items of BATCH again, and no others.

    On a terminal, BATCH defaults to the batch last submitted from this host. The command does not wait for the items.
    Correct the cause of the failures first and restart the workers; the items stay as you submitted them. With
    --item, only that item runs again, also a cancelled one.

    With --workflow, a batch of --from-batch takes the values that come now, and a batch that was cancelled because
    another one failed waits for that again. The command names batches that began at the first end of another one.

    \b
    Examples:
      gristmill retry && gristmill watch
      gristmill retry first --cancelled
      gristmill retry first --item 17
      gristmill retry --workflow pages
    """
    if workflow is not None:
        workflows.retry(workflow, batch, item, cancelled=cancelled)
        return
    with batch_to_change(batch) as (target, fleet):
        warn_of_workers(target.info(), fleet=fleet)
        control = Control(client(), settings())
        if item is not None:
            number = int(control.retry_item(target.name, item))
        else:
            number = control.retry(target.name, cancelled=cancelled)
        info = target.info()
    if not number and item is not None:
        note(f"item {item} of batch {info.name} has not failed")
        return
    if not number:
        others = f"; {info.cancelled:,} are cancelled (--cancelled runs them again)" if info.cancelled else ""
        note(f"batch {info.name} has no failed items{others}")
        return
    note(f"batch {info.name}: {item_count(number, 'run')} again")
    if info.state is State.PAUSED:
        warn(f"batch {info.name} is paused: the items wait for `gristmill resume {info.name}`")
    say_how_to_follow(info, fleet=fleet)
