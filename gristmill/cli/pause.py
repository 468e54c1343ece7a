"""`gristmill pause`."""

import click

from gristmill.batches.info import State
from gristmill.cli import options
from gristmill.cli.console import note
from gristmill.cli.lookup import named_batch
from gristmill.local.fleet import server_for_reading
from gristmill.server.connection import reaching


@click.command("pause")
@options.batch
@options.quiet
def command(batch: str | None) -> None:
    """Hold BATCH (default: the last submitted from this host): nothing more of it begins until it is resumed.

    What runs finishes. Items can be submitted to it meanwhile.

    \b
    Examples:
      gristmill pause
      gristmill pause first
    """
    with server_for_reading(), reaching():
        found = named_batch(batch)
        changed = found.pause()
        info = found.info()
    if changed:
        note(f"batch {info.name} is paused with {info.left:,} items open; go on with: gristmill resume {info.name}")
    elif info.state is State.PAUSED:
        note(f"batch {info.name} was paused already")
    else:
        note(f"batch {info.name} cannot be paused: it {'is being cancelled' if info.left else 'has ended'}")
