"""`gristmill delete`."""

from gristmill.cli import options
from gristmill.cli import workflow as workflows
from gristmill.cli.command import command as new_command
from gristmill.cli.console import note, warn
from gristmill.cli.lookup import batch_to_change
from gristmill.config.figures import item_count


@new_command("delete")
@options.batch
@workflows.option
@options.quiet
def command(batch: str | None, workflow: str | None) -> None:
    """Delete every key of BATCH: its items and its results.

    On a terminal, BATCH defaults to the batch last submitted from this host. Items that run finish, and Gristmill
    drops their results.

    A batch that another one follows cannot be deleted; with --workflow, the followers are deleted first.

    \b
    Examples:
      gristmill delete
      gristmill delete first
      gristmill delete --workflow pages
    """
    if workflow is not None:
        workflows.delete(workflow, batch)
        return
    with batch_to_change(batch) as (target, _):
        info = target.info()
        target.delete()
    if info.left:
        warn(f"batch {info.name} had {item_count(info.left)} left")
    note(f"deleted batch {info.name}: {item_count(info.submitted)}")
