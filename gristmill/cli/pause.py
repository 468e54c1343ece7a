"""`gristmill pause`."""

from gristmill.batches.info import State
from gristmill.cli import options
from gristmill.cli.command import command as new_command
from gristmill.cli.console import note
from gristmill.cli.lookup import batch_to_change
from gristmill.config.figures import item_count


@new_command("pause")
@options.batch
@options.quiet
def command(batch: str | None) -> None:
    """Hold BATCH: no more items begin until `gristmill resume`, and items that run finish.

    On a terminal, BATCH defaults to the batch last submitted from this host. A producer can go on submitting to it.

    \b
    Examples:
      gristmill pause
      gristmill pause first
    """
    with batch_to_change(batch) as (target, _):
        changed = target.pause()
        info = target.info()
    if changed:
        note(f"batch {info.name} is paused with {item_count(info.left)} left; go on with: gristmill resume {info.name}")
    elif info.state is State.PAUSED:
        note(f"batch {info.name} was paused already")
    else:
        note(f"batch {info.name} cannot be paused: it {'is being cancelled' if info.left else 'has ended'}")
