"""`gristmill workers`."""

from dataclasses import asdict

import click

from broker.connection import reaching
from producer.attention import live_workers
from producer.cli import options
from producer.cli.console import note, show

_COLUMNS = ["name", "host", "queue", "pool", "slots", "busy", "items", "rate"]


@click.command("workers")
@options.as_json
@options.quiet
def command(as_json: bool) -> None:
    """List the workers that live: pool, slots, how many are busy, items recorded, items per second.

    With --json also the tasks that each knows, with the fingerprint of their source.

    \b
    Examples:
      gristmill workers
      gristmill workers --json | jq .tasks
    """
    with reaching():
        rows = [asdict(worker) for worker in live_workers()]
    if not rows and not as_json:
        note("no workers: start some with `gristmill up`")
        return
    show(_COLUMNS, rows, as_json=as_json, right="slots busy items rate")
