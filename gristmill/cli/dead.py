"""`gristmill dead`."""

import re
import sys
from collections.abc import Iterator
from contextlib import contextmanager

import click

from gristmill.broker.dead_letters import DeadLetters
from gristmill.cli import options
from gristmill.cli.command import Group
from gristmill.cli.console import note, show_pages
from gristmill.config.figures import count
from gristmill.config.settings import settings
from gristmill.errors import InputError, invalid_value
from gristmill.local.running_server import server_for_reading
from gristmill.server.connection import client, reaching

_COLUMNS = ["id", "queue", "task", "reason", "deaths", "worker", "at", "bytes"]
_SEE = "`gristmill dead list` lists them"

ids = click.argument("ids", nargs=-1, metavar="[ID]...")


@click.group("dead", cls=Group)
def command() -> None:
    """List, requeue or delete dead letters: messages that workers gave up on.

    Workers give up on a message that they cannot read, and on one that has killed three processes that ran it alone.
    The server keeps it until you decide: nothing else removes it.

    \b
    Examples:
      gristmill dead list
      gristmill dead requeue 1767225600000-0
      gristmill dead delete --all
    """


@command.command("list", short_help="List the dead letters, oldest first.")
@click.option("--queue", metavar="QUEUE", help="List dead letters of this queue only.")
@options.as_json
@options.quiet
def list_them(queue: str | None, as_json: bool) -> None:
    """List the dead letters, oldest first: reason, deaths, last worker, time and size of each.

    --json prints the priority and the task's id too.

    \b
    Examples:
      gristmill dead list --queue cpu
      gristmill dead list --json | jq -r 'select(.deaths == 3).id'
    """
    with _dead_letters() as dead_letters:
        rows = (dead_letter.as_dict() for dead_letter in dead_letters if queue in (None, dead_letter.queue))
        if not show_pages(_COLUMNS, rows, as_json=as_json, right="deaths bytes"):
            note("no dead letters" if queue is None else f"no dead letters of queue {queue!r}")


@command.command("requeue", short_help="Put dead letters back on their queues.")
@ids
@click.option("--all", "everything", is_flag=True, help="Requeue all dead letters that there are now.")
@options.quiet
def requeue(ids: tuple[str, ...], everything: bool) -> None:
    """Put dead letters back at the end of their queues, as they were sent, with no deaths counted.

    No worker has to know their task yet.

    \b
    Examples:
      gristmill dead requeue 1767225600000-0 1767225600000-1
      gristmill dead requeue --all
    """
    with _checked(ids, everything) as dead_letters:
        number = dead_letters.requeue_all() if everything else sum(map(dead_letters.requeue, ids))
    note(f"requeued {count(number, 'dead letter')}")


@command.command("delete", short_help="Delete dead letters for good.")
@ids
@click.option(
    "--all", "everything", is_flag=True, help="Delete all dead letters that there are now; asks first on a terminal."
)
@click.option("--yes", is_flag=True, help="Do not ask before --all.")
@options.quiet
def delete(ids: tuple[str, ...], everything: bool, yes: bool) -> None:
    """Delete dead letters for good.

    \b
    Examples:
      gristmill dead delete 1767225600000-0
      gristmill dead delete --all --yes
    """
    with _checked(ids, everything) as dead_letters:
        if everything and not yes and len(dead_letters) and sys.stdin.isatty() and sys.stderr.isatty():
            click.confirm(
                f"Delete {count(len(dead_letters), 'dead letter')} ({dead_letters.size:,} bytes)?", abort=True, err=True
            )
        number = dead_letters.drop_all() if everything else sum(map(dead_letters.drop, ids))
    note(f"deleted {count(number, 'dead letter')}")


@contextmanager
def _dead_letters() -> Iterator[DeadLetters]:
    with server_for_reading(), reaching():
        yield DeadLetters(client(), settings())


@contextmanager
def _checked(ids: tuple[str, ...], everything: bool) -> Iterator[DeadLetters]:
    """The dead letters, once every named ID exists: otherwise the command changes none."""
    if everything == bool(ids):
        raise click.UsageError("give the IDs of dead letters, or --all, and not both")
    for id_ in ids:
        if not re.fullmatch(r"[0-9]{1,19}-[0-9]{1,19}", id_, re.ASCII):
            raise InputError(invalid_value("ID", id_, f"an ID such as 1767225600000-0; {_SEE}"))
    with _dead_letters() as dead_letters:
        for id_ in ids:
            if not dead_letters.has(id_):
                raise InputError(f"no dead letter has the ID {id_!r}: {_SEE}")
        yield dead_letters
