"""`gristmill resume`."""

import click

from gristmill.cli import options
from gristmill.cli.console import note, warn
from gristmill.cli.lookup import named_batch
from gristmill.local.fleet import server_for_reading
from gristmill.producer.worker_checks import live_workers, no_worker
from gristmill.server.connection import reaching


@click.command("resume")
@options.batch
@options.quiet
def command(batch: str | None) -> None:
    """Go on with BATCH (default: the last submitted from this host) after `pause`.

    \b
    Examples:
      gristmill resume
      gristmill resume first
    """
    with server_for_reading(), reaching():
        found = named_batch(batch)
        changed = found.resume()
        info = found.info()
        idle = not any(worker.queue == info.queue for worker in live_workers())
    if not changed:
        note(f"batch {info.name} was not paused")
        return
    if idle and info.left:
        warn(no_worker(info.queue))
    note(f"batch {info.name} goes on with {info.left:,} items; follow them with: gristmill watch {info.name}")
