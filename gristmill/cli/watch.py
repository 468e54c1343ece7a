"""`gristmill watch`."""

import click

from gristmill.cli import options
from gristmill.cli.following import follow, watch_json
from gristmill.cli.lookup import named_batch
from gristmill.producer.deadline import Deadline
from gristmill.server.connection import reaching


@click.command("watch")
@options.batch
@options.as_json
@options.timeout
@options.quiet
def command(batch: str | None, as_json: bool, timeout: float | None) -> int:
    """Follow BATCH (default: the last submitted from this host) to its end: bar, rate, time left, failures.

    \b
    Examples:
      gristmill watch
      gristmill watch first --timeout 60
    """
    with reaching():
        found = named_batch(batch)
        info = watch_json(found, timeout) if as_json else follow(found, None, deadline=Deadline(timeout))
        return info.exit_code
