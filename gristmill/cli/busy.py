"""`gristmill busy`."""

import json
from typing import Any

from gristmill.cli import options
from gristmill.cli.command import command as new_command
from gristmill.cli.console import note, show
from gristmill.cli.lookup import named_batch
from gristmill.config.figures import duration
from gristmill.config.settings import settings
from gristmill.fleet.running_items import RunningItem, RunningItems
from gristmill.server.connection import client, reaching

_COLUMNS = ["batch", "item", "running for", "attempt", "progress", "worker", "pid", "input"]
#: Characters of an input in the table.
_INPUT = 60


@new_command("busy")
@options.batch
@options.as_json
@options.quiet
def command(batch: str | None, as_json: bool) -> None:
    """List the items that run now, of BATCH or of all batches, the slowest first.

    Workers report once a second what has run for a second or longer; quicker items are not listed.

    \b
    Examples:
      gristmill busy
      gristmill busy first --json | jq .input
    """
    with reaching():
        names = None if batch is None else [named_batch(batch).name]
        items = RunningItems(client(), settings()).look(names)
    if not items and not as_json:
        note("no item has run for a second or longer")
        return
    rows = [item.as_dict() if as_json else _row(item) for item in items]
    show(_COLUMNS, rows, as_json=as_json, right="item attempt pid")


def _row(item: RunningItem) -> dict[str, Any]:
    text = json.dumps(item.input, ensure_ascii=False)
    return {
        **item.as_dict(),
        "item": str(item.index),
        "pid": str(item.pid),
        "running_for": duration(item.seconds),
        "progress": item.progress and str(item.progress),
        "input": text if len(text) <= _INPUT else text[: _INPUT - 1] + "…",
    }
