"""`gristmill forget`."""

import click

from gristmill.cli import options
from gristmill.cli.console import note, warn
from gristmill.cli.lookup import named_batch
from gristmill.local.fleet import server_for_reading
from gristmill.server.connection import reaching


@click.command("forget")
@options.batch
@options.quiet
def command(batch: str | None) -> None:
    """Delete every key of BATCH (default: the last submitted from this host): its items and its results.

    What of it still runs ends, and its results are dropped.

    \b
    Examples:
      gristmill forget
      gristmill forget first
    """
    with server_for_reading(), reaching():
        found = named_batch(batch)
        info = found.info()
        found.delete()
    if info.left:
        warn(f"{info.left:,} items of batch {info.name} were open")
    note(f"forgot batch {info.name}: {info.submitted:,} items")
