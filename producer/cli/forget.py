"""`gristmill forget`."""

import click

from broker.connection import reaching
from producer.cli import options
from producer.cli.console import note, warn
from producer.cli.lookup import named_batch
from producer.fleet import server_for_reading


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
        found.forget()
    if info.open:
        warn(f"{info.open:,} items of batch {info.name} were open")
    note(f"forgot batch {info.name}: {info.submitted:,} items")
