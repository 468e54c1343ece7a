"""`gristmill logs`."""

import sys

import click

from gristmill.batches.result import Result
from gristmill.cli import options
from gristmill.cli.command import command as new_command
from gristmill.cli.console import as_they_come, note, on_terminal, write
from gristmill.cli.lookup import named_batch
from gristmill.config.figures import printable
from gristmill.local.running_server import server_for_reading
from gristmill.server.connection import reaching


@new_command("logs")
@options.batch
@options.item
@click.option("--worker", metavar="W", help="Print what items wrote on worker W, such as cpu@host-a.")
@options.selected_states
@options.follow
@options.max_wait
@options.quiet
def command(
    batch: str | None,
    *,
    item: int | None,
    worker: str | None,
    states: frozenset[str] | None,
    failed: bool,
    following: bool,
    max_wait: float | None,
) -> int:
    """Print what the items of BATCH wrote to stdout, stderr and logging.

    Each line begins with the index of its item. BATCH defaults to the batch last submitted from this host. The server
    keeps the end of what failed and dead items wrote; after `run` or `submit` with --keep-logs all, of all items.

    \b
    Examples:
      gristmill logs first
      gristmill logs first --item 17
      gristmill logs first --worker cpu@host-a
      gristmill logs --follow | grep WARNING
    """
    if max_wait is not None and not following:
        raise click.UsageError("--max-wait goes with --follow: without it nothing is waited for")
    with server_for_reading(), reaching():
        target = named_batch(batch)
        results = target.results(state=options.states_of(states, failed), follow=following, max_wait=max_wait)
        count = sum(
            _print(result, item)
            for result in as_they_come(results)
            if item in (None, result.index) and worker in (None, result.worker)
        )
        if not count:
            items = "these items" if item is None else f"item {item}"
            place = f" on worker {worker}" if worker else ""
            note(f"The server has no output of {items} of {target.name}{place}.")
        if lost := target.info().lost_logs():
            note(f"{target.name}: {lost}")
    return 0


def _print(result: Result, item: int | None) -> bool:
    """Print a result's log, if it has one; whether it has."""
    for line in (result.log or "").splitlines():
        text = printable(line.expandtabs()) if on_terminal(sys.stdout) else line
        write(text if item is not None else f"{result.index} | {text}")
    return result.log is not None
