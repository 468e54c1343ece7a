"""`gristmill dead`."""

import re
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from itertools import chain, islice

import click

from gristmill.broker.dead_letters import DeadLetters
from gristmill.cli import options
from gristmill.cli.console import note, show
from gristmill.config import settings
from gristmill.errors import InputError
from gristmill.local.fleet import server_for_reading
from gristmill.server.connection import client, reaching

_COLUMNS = ["id", "queue", "task", "reason", "deaths", "worker", "at", "bytes"]
_SEE = "`gristmill dead list` shows those that there are"
#: Rows whose widths a table fits to: it is printed while more are read.
PAGE = 500

identities = click.argument("identities", nargs=-1, metavar="[ID]...")


@click.group("dead")
def command() -> None:
    """List, requeue or drop the messages that were given up on.

    A message is given up on when it cannot be read, or has killed three processes that ran it alone. It is kept
    until you decide: nothing else removes it.

    \b
    Examples:
      gristmill dead list
      gristmill dead requeue 1767225600000-0
      gristmill dead drop --all
    """


@command.command("list")
@click.option("--queue", metavar="QUEUE", help="Only those of this queue.")
@options.as_json
@options.quiet
def list_them(queue: str | None, as_json: bool) -> None:
    """List the dead letters, oldest first: why, how many processes each killed, who had it last, when, its size.

    With --json also the priority and the task's id.

    \b
    Examples:
      gristmill dead list --queue cpu
      gristmill dead list --json | jq -r 'select(.deaths == 3).id'
    """
    with _dead_letters() as dead_letters:
        found = (dead_letter for dead_letter in dead_letters if queue in (None, dead_letter.queue))
        first = next(found, None)
        if first is None:
            note("no dead letters" if queue is None else f"no dead letters of queue {queue!r}")
            return
        rows = chain([first], found)
        header = True
        while page := [dead_letter.as_dict() for dead_letter in islice(rows, PAGE)]:
            show(_COLUMNS, page, as_json=as_json, right="deaths bytes", header=header)
            header = False


@command.command("requeue")
@identities
@click.option("--all", "everything", is_flag=True, help="All that there are now.")
@options.quiet
def requeue(identities: tuple[str, ...], everything: bool) -> None:
    """Put dead letters back at the end of their queues, as they were sent: deaths are forgotten.

    No worker has to know their task yet.

    \b
    Examples:
      gristmill dead requeue 1767225600000-0 1767225600000-1
      gristmill dead requeue --all
    """
    with _chosen(identities, everything) as dead_letters:
        number = dead_letters.requeue_all() if everything else _each(dead_letters.requeue, identities)
    note(f"requeued {_number(number)}")


@command.command("drop")
@identities
@click.option("--all", "everything", is_flag=True, help="All that there are now; asks first, on a terminal.")
@click.option("--yes", is_flag=True, help="Do not ask.")
@options.quiet
def drop(identities: tuple[str, ...], everything: bool, yes: bool) -> None:
    """Delete dead letters. Nothing brings them back.

    \b
    Examples:
      gristmill dead drop 1767225600000-0
      gristmill dead drop --all --yes
    """
    with _chosen(identities, everything) as dead_letters:
        if everything and not yes and len(dead_letters) and sys.stdin.isatty() and sys.stderr.isatty():
            click.confirm(f"Drop {_number(len(dead_letters))} ({dead_letters.size:,} bytes)?", abort=True, err=True)
        number = dead_letters.drop_all() if everything else _each(dead_letters.drop, identities)
    note(f"dropped {_number(number)}")


@contextmanager
def _dead_letters() -> Iterator[DeadLetters]:
    with server_for_reading(), reaching():
        yield DeadLetters(client(), settings())


@contextmanager
def _chosen(identities: tuple[str, ...], everything: bool) -> Iterator[DeadLetters]:
    """The letters, when what was named of them is there: else nothing happens to any."""
    if everything == bool(identities):
        raise click.UsageError("the IDs of dead letters or --all are needed, and not both")
    for identity in identities:
        if not re.fullmatch(r"[0-9]{1,19}-[0-9]{1,19}", identity, re.ASCII):
            raise InputError(f"{identity!r} is no ID of a dead letter: one like 1767225600000-0 is ({_SEE})")
    with _dead_letters() as dead_letters:
        for identity in identities:
            if not dead_letters.has(identity):
                raise InputError(f"no dead letter has the ID {identity!r}: {_SEE}")
        yield dead_letters


def _number(number: int) -> str:
    return f"{number:,} dead letter{'' if number == 1 else 's'}"


def _each(act: Callable[[str], bool], identities: tuple[str, ...]) -> int:
    return sum(act(identity) for identity in identities)
