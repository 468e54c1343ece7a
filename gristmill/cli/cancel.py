"""`gristmill cancel`."""

import click

from gristmill.batches.control import Control
from gristmill.batches.info import ENDED
from gristmill.cli import options
from gristmill.cli import workflow as workflows
from gristmill.cli.command import command as new_command
from gristmill.cli.console import note, warn
from gristmill.cli.lookup import batch_to_change
from gristmill.config.figures import item_count
from gristmill.config.settings import settings
from gristmill.server.connection import client
from gristmill.server.identity import cancelled_item

#: What `--item` says, by what the item did.
_ITEM = {
    "ended": "had ended before",
    "waiting": "cancelled before it ran",
    "running": "cancelled; its worker ends its run within two seconds or so, unless that is a thread",
}


@new_command("cancel")
@options.batch
@options.item
@click.option("--kill", is_flag=True, help="End running items too, except in threads, which cannot be ended.")
@workflows.option
@options.quiet
def command(batch: str | None, item: int | None, kill: bool, workflow: str | None) -> None:
    """Stop BATCH: no more items begin, and items that run finish. The server keeps all results.

    On a terminal, BATCH defaults to the batch last submitted from this host. A producer that still submits the
    batch stops. With --item, only that item is cancelled, and its run ends; a thread goes on, but its outcome does not
    count.

    With --workflow, the batches that follow others are cancelled first, so that none of them begins.

    \b
    Examples:
      gristmill cancel
      gristmill cancel first --kill
      gristmill cancel first --item 17
      gristmill cancel --workflow pages
    """
    if workflow is not None:
        workflows.cancel(workflow, batch, item, kill=kill)
        return
    with batch_to_change(batch) as (target, _):
        if item is not None:
            was = Control(client(), settings()).cancel_item(target.name, item, cancelled_item(item))
            note(f"item {item} of batch {target.name}: {_ITEM[was]}")
            return
        before = target.info()
        info = target.cancel(kill=kill)
    if before.state in ENDED:
        note(f"batch {info.name} had ended before: {info.state}")
        return
    note(f"batch {info.name}: {info.cancelled:,} of {item_count(info.submitted)} cancelled")
    if info.left and kill:
        warn(f"{item_count(info.left, 'run')} in threads, which cannot be ended: what runs finishes, and counts")
    elif info.left:
        note(f"{item_count(info.left, 'are')} in chunks that run: running items finish, the others are cancelled")
