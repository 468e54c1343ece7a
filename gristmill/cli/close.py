"""`gristmill close`."""

from gristmill.cli import options
from gristmill.cli.command import command as new_command
from gristmill.cli.console import note
from gristmill.cli.lookup import batch_to_change
from gristmill.config.figures import item_count


@new_command("close")
@options.batch
@options.quiet
def command(batch: str | None) -> None:
    """Take no more items into BATCH, an open one: it ends once all of its items have ended.

    On a terminal, BATCH defaults to the batch last submitted from this host. `submit --append` opens a batch.

    \b
    Examples:
      gristmill close
      gristmill close photos
    """
    with batch_to_change(batch) as (target, _):
        changed = target.close()
        info = target.info()
    if changed:
        note(f"batch {info.name} is closed with {item_count(info.submitted)}, {info.left:,} left")
    else:
        note(f"batch {info.name} was closed already")
