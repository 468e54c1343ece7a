"""`gristmill watch`."""

from gristmill.cli import options
from gristmill.cli.command import command as new_command
from gristmill.cli.following import follow, watch_json
from gristmill.cli.lookup import named_batch
from gristmill.server.connection import reaching
from gristmill.server.waiting import Deadline


@new_command("watch")
@options.batch
@options.as_json
@options.max_wait
@options.quiet
def command(batch: str | None, as_json: bool, max_wait: float | None) -> int:
    """Follow BATCH to its end: a bar with rate, time left and failures. Exits with the batch's code.

    BATCH defaults to the batch last submitted from this host.

    \b
    Examples:
      gristmill watch
      gristmill watch first --max-wait 10m
    """
    with reaching():
        target = named_batch(batch)
        info = watch_json(target, max_wait) if as_json else follow(target, None, deadline=Deadline(max_wait))
        return info.exit_code
