"""`gristmill delete`."""

from gristmill.cli import options
from gristmill.cli.command import command as new_command
from gristmill.cli.console import note, warn
from gristmill.cli.lookup import batch_to_change
from gristmill.config.figures import item_count


@new_command("delete")
@options.batch
@options.quiet
def command(batch: str | None) -> None:
    """Delete every key of BATCH: its items and its results.

    On a terminal, BATCH defaults to the batch last submitted from this host. Items that run finish, and Gristmill
    drops their results.

    \b
    Examples:
      gristmill delete
      gristmill delete first
    """
    with batch_to_change(batch) as (target, _):
        info = target.info()
        target.delete()
    if info.left:
        warn(f"batch {info.name} had {item_count(info.left)} left")
    note(f"deleted batch {info.name}: {item_count(info.submitted)}")
