"""`gristmill audit`."""

import click

from gristmill.batches.audit import entries
from gristmill.cli import options
from gristmill.cli.command import command as new_command
from gristmill.cli.console import note, show_pages
from gristmill.config.settings import settings
from gristmill.local.running_server import server_for_reading
from gristmill.server.connection import client, reaching

_COLUMNS = ["at", "by", "via", "action", "kind", "name", "detail"]


@new_command("audit")
@click.option("--batch", metavar="BATCH", help="List what was done to this batch only.")
@options.as_json
@options.quiet
def command(batch: str | None, as_json: bool) -> None:
    """List who did what, oldest first: what changed a batch, a schedule, a worker or a dead letter.

    The server keeps the last 10,000 or so. Submitting makes no entry: a batch says who submitted it.

    \b
    Examples:
      gristmill audit
      gristmill audit --batch first
      gristmill audit --json | jq -r 'select(.action == "delete").by'
    """
    with server_for_reading(), reaching():
        rows = (
            entry.as_dict()
            for entry in entries(client(), settings())
            if batch is None or (entry.kind, entry.name) == ("batch", batch)
        )
        if not show_pages(_COLUMNS, rows, as_json=as_json):
            note("nobody has done anything" if batch is None else f"nobody has done anything to batch {batch!r}")
