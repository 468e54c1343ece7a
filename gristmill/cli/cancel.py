"""`gristmill cancel`."""

import click

from gristmill.batches.info import ENDED
from gristmill.cli import options
from gristmill.cli.console import note, warn
from gristmill.cli.lookup import named_batch
from gristmill.local.fleet import server_for_reading
from gristmill.server.connection import reaching


@click.command("cancel")
@options.batch
@click.option("--kill", is_flag=True, help="End the items that run, too (in processes; threads cannot be ended).")
@options.quiet
def command(batch: str | None, kill: bool) -> None:
    """Stop BATCH (default: the last submitted from this host): nothing more of it begins, what runs finishes.

    Its results are kept. A producer that still submits it stops.

    \b
    Examples:
      gristmill cancel
      gristmill cancel first --kill
    """
    with server_for_reading(), reaching():
        found = named_batch(batch)
        before = found.info()
        info = found.cancel(kill=kill)
    if before.state in ENDED:
        note(f"batch {info.name} had ended before: {info.state}")
        return
    note(f"batch {info.name}: {info.cancelled:,} of {info.submitted:,} items cancelled")
    if info.left and kill:
        warn(f"{info.left:,} items run in threads, which cannot be ended: they finish and are recorded")
    elif info.left:
        note(f"{info.left:,} items are in chunks that run: what has begun finishes, the others are cancelled")
