"""Which batch a command means."""

import sys
from collections.abc import Iterator
from contextlib import contextmanager

import click

from gristmill.cli.console import say
from gristmill.config.settings import settings
from gristmill.errors import InputError
from gristmill.local.running_server import server_for_reading
from gristmill.producer.batch import Batch
from gristmill.producer.batches import open_batch
from gristmill.server.connection import reaching
from gristmill.server.home import Home


def named_batch(name: str | None) -> Batch:
    """The batch called `name`, by default the one last submitted from this host.

    Raises:
        InputError: there is none.
    """
    if name is None:
        name = Home(settings().home).last_batch
    if name is None:
        raise InputError("no batch was submitted from this host yet: name one (`gristmill batches` lists them)")
    return open_batch(name)


@contextmanager
def batch_to_change(name: str | None) -> Iterator[tuple[Batch, bool]]:
    """The batch that a command ends, holds or deletes, and whether a fleet runs that goes on after this command.

    The default is for a person at a terminal, and is printed there: a script has to name the batch.

    Raises:
        click.UsageError: no name in a script.
        InputError: there is no such batch.
    """
    if name is None and not (sys.stdin.isatty() and sys.stderr.isatty()):
        raise click.UsageError("a script has to name the BATCH: only a terminal takes the last submitted")
    with server_for_reading() as fleet, reaching():
        batch = named_batch(name)
        if name is None:
            say(f"batch {batch.name}, the last submitted from this host:")
        yield batch, fleet
