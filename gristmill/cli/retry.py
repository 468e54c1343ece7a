"""`gristmill retry`."""

import click

from gristmill.batches.info import State
from gristmill.cli import options
from gristmill.cli.console import note, warn
from gristmill.cli.lookup import named_batch
from gristmill.local.fleet import server_for_reading
from gristmill.producer.worker_checks import live_workers, no_worker
from gristmill.server.connection import reaching


@click.command("retry")
@options.batch
@click.option("--cancelled", is_flag=True, help="The cancelled items too.")
@options.quiet
def command(batch: str | None, cancelled: bool) -> None:
    """Run the failed and dead items of BATCH again (default: the last submitted from this host), and no others.

    Returns when they are handed out. Mend first what made them fail: items stay as they were submitted.

    \b
    Examples:
      gristmill retry && gristmill watch
      gristmill retry first --cancelled
    """
    with server_for_reading(), reaching():
        found = named_batch(batch)
        number = found.retry(cancelled=cancelled)
        info = found.info()
        idle = not any(worker.queue == info.queue for worker in live_workers())
    if not number:
        others = f": {info.cancelled:,} are cancelled (--cancelled)" if info.cancelled else ""
        note(f"batch {info.name} has no failed items{others}")
        return
    if idle:
        warn(no_worker(info.queue))
    note(f"batch {info.name}: {number:,} items run again; follow them with: gristmill watch {info.name}")
    if info.state is State.PAUSED:
        warn(f"batch {info.name} is paused: they wait for `gristmill resume {info.name}`")
