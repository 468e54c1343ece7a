"""`gristmill pause`."""

from gristmill.batches.control import Control
from gristmill.batches.info import State
from gristmill.cli import options
from gristmill.cli import workflow as workflows
from gristmill.cli.command import command as new_command
from gristmill.cli.console import note
from gristmill.cli.lookup import batch_to_change
from gristmill.config.figures import item_count


@new_command("pause")
@options.batch
@workflows.option
@options.quiet
def command(batch: str | None, workflow: str | None) -> None:
    """Hold BATCH: no more items begin until `gristmill resume`, and items that run finish.

    On a terminal, BATCH defaults to the batch last submitted from this host. A producer can go on submitting to it.

    With --workflow, each of its batches is paused.

    \b
    Examples:
      gristmill pause
      gristmill pause first
      gristmill pause --workflow pages
    """
    if workflow is not None:
        workflows.change(workflow, batch, Control.pause, "is paused")
        return
    with batch_to_change(batch) as (target, _):
        changed = target.pause()
        info = target.info()
    if changed:
        note(f"batch {info.name} is paused with {item_count(info.left)} left; go on with: gristmill resume {info.name}")
    elif info.state is State.PAUSED:
        note(f"batch {info.name} was paused already")
    else:
        note(f"batch {info.name} cannot be paused: it {'is being cancelled' if info.left else 'has ended'}")
