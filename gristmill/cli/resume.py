"""`gristmill resume`."""

from gristmill.batches.control import Control
from gristmill.cli import options
from gristmill.cli import workflow as workflows
from gristmill.cli.command import command as new_command
from gristmill.cli.console import note
from gristmill.cli.lookup import batch_to_change
from gristmill.cli.start_advice import say_how_to_follow, warn_of_workers
from gristmill.config.figures import item_count
from gristmill.config.settings import settings
from gristmill.server.connection import client


@new_command("resume")
@options.batch
@workflows.option
@options.quiet
def command(batch: str | None, workflow: str | None) -> None:
    """Go on with BATCH after `gristmill pause`.

    On a terminal, BATCH defaults to the batch last submitted from this host.

    With --workflow, each of its paused batches goes on.

    \b
    Examples:
      gristmill resume
      gristmill resume first
      gristmill resume --workflow pages
    """
    if workflow is not None:
        workflows.change(workflow, batch, Control.resume, "goes on")
        return
    with batch_to_change(batch) as (target, fleet):
        warn_of_workers(target.info(), fleet=fleet)
        changed = Control(client(), settings()).resume(target.name)
        info = target.info()
    if not changed:
        note(f"batch {info.name} was not paused")
        return
    note(f"batch {info.name} goes on with {item_count(info.left)}")
    say_how_to_follow(info, fleet=fleet)
