"""`gristmill batches`."""

from gristmill.cli import options
from gristmill.cli.command import command as new_command
from gristmill.cli.console import note, show
from gristmill.local.fleet import server_for_reading
from gristmill.producer.batches import batches
from gristmill.server.connection import reaching

_COLUMNS = ["name", "state", "submitted", "succeeded", "failed", "left", "created"]


@new_command("batches")
@options.as_json
@options.quiet
def command(as_json: bool) -> None:
    """List the batches on the server, oldest first; --json prints every field, such as who submitted each.

    \b
    Examples:
      gristmill batches
      gristmill batches --json | jq 'select(.state == "failed").name'
    """
    with server_for_reading(), reaching():
        infos = batches()
    rows = [info.as_dict() for info in infos]
    if not rows and not as_json:
        note("no batches yet: gristmill run fibonacci 30 31 32")
        return
    show(_COLUMNS, rows, as_json=as_json, right="submitted succeeded failed left")
    for info in infos if not as_json else []:
        if info.abandoned_at is not None:
            note(f"batch {info.name}: {info.abandonment()}")
