"""`gristmill batches`."""

from typing import Any

import click

from gristmill.batches.info import BatchInfo
from gristmill.batches.selection import Selection, checked_states
from gristmill.cli import options
from gristmill.cli import workflow as workflows
from gristmill.cli.command import command as new_command
from gristmill.cli.console import note, show
from gristmill.cli.options.label import has_labels
from gristmill.cli.options.values import Parsed
from gristmill.config.figures import moment
from gristmill.local.running_server import server_for_reading
from gristmill.producer.batches import batches
from gristmill.server.connection import reaching

_COLUMNS = ["name", "state", "submitted", "succeeded", "failed", "left", "created"]


@new_command("batches")
@has_labels
@click.option(
    "--state", "states", type=Parsed(checked_states), metavar="STATE,…", help="List batches in these states only."
)
@click.option("--task", metavar="TASK", help="List batches of this task only.")
@options.as_json
@workflows.option
@options.quiet
def command(
    labels: dict[str, str], states: frozenset[str] | None, task: str | None, workflow: str | None, as_json: bool
) -> None:
    """List the batches on the server, oldest first; --json prints every field, such as who submitted each.

    \b
    Examples:
      gristmill batches
      gristmill batches --state open,running --label team=maps
      gristmill batches --workflow pages
      gristmill batches --json | jq 'select(.state == "failed").name'
    """
    with server_for_reading(), reaching():
        infos = batches(workflow=workflow)
    selection = Selection(states=states or frozenset(), task=task or "", labels=labels)
    infos = [info for info in infos if selection.has(info)]
    rows = [info.as_dict() if as_json else _row(info) for info in infos]
    if not rows and not as_json:
        note("no such batches" if selection else "no batches yet: gristmill run fibonacci 30 31 32")
        return
    show(_COLUMNS, rows, as_json=as_json, right="submitted succeeded failed left")
    for info in infos if not as_json else []:
        if info.abandoned_at is not None:
            note(f"batch {info.name}: {info.abandonment()}")
        if info.superseded:
            note(f"batch {info.name}: {info.supersession()}")


def _row(info: BatchInfo) -> dict[str, Any]:
    return {name: getattr(info, name) for name in _COLUMNS} | {"created": moment(info.created)}
