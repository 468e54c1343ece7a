"""What commands do to a whole workflow, with `--workflow`."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager

import click

from gristmill.batches.control import Control
from gristmill.batches.info import ENDED, BatchInfo
from gristmill.cli import completing
from gristmill.cli.console import note, warn
from gristmill.config.figures import item_count
from gristmill.config.settings import settings
from gristmill.local.running_server import server_for_reading
from gristmill.producer.batches import batches, open_batch
from gristmill.server.connection import client, reaching

option = click.option(
    "--workflow",
    metavar="BATCH",
    shell_complete=completing.batches,
    help="All batches of the workflow of BATCH: those that it follows, and those that follow it.",
)


@contextmanager
def workflow_to_change(name: str, batch: str | None, item: int | None = None) -> Iterator[list[BatchInfo]]:
    """The batches of the workflow that a command ends, holds or deletes, the oldest first.

    Raises:
        click.UsageError: the command names a batch or an item too.
        InputError: there is no such batch.
    """
    if batch is not None or item is not None:
        raise click.UsageError("--workflow names all batches: it does not go with BATCH or --item")
    with server_for_reading(), reaching():
        yield batches(workflow=name)


def cancel(name: str, batch: str | None, item: int | None, *, kill: bool) -> None:
    """Cancel what has not ended, the followers first: none of them begins meanwhile."""
    with workflow_to_change(name, batch, item) as infos:
        for info in reversed(infos):
            if info.state not in ENDED:
                after = open_batch(info.name).cancel(kill=kill)
                note(f"batch {info.name}: {after.cancelled:,} of {item_count(after.submitted)} cancelled")


def retry(name: str, batch: str | None, item: int | None, *, cancelled: bool) -> None:
    """Run failed items again, the oldest batch's first; say of each batch what it does, and what it lacks."""
    with workflow_to_change(name, batch, item) as infos:
        control, nothing = Control(client(), settings()), True
        for info in infos:
            number = control.retry(info.name, cancelled=cancelled, workflow=True)
            after = open_batch(info.name).info()
            nothing = nothing and after.state is info.state and after.taking == info.taking
            if number:
                nothing = False
                note(f"batch {info.name}: {item_count(number, 'run')} again")
            if after.from_batch and (after.taking, after.submitted) != (info.taking, info.submitted):
                note(f"batch {info.name} takes further values of {after.from_batch}")
            if after.superseded:
                warn(f"batch {info.name} {after.supersession()}: submit {info.name} again under another name")
        if nothing:
            note(f"no batch of this workflow has {'failed or cancelled' if cancelled else 'failed'} items")


def change(name: str, batch: str | None, what: Callable[[Control, str], object], word: str) -> None:
    """Pause or resume the batches: `what` says whether that changed one, `word` what it is then."""
    with workflow_to_change(name, batch) as infos:
        control = Control(client(), settings())
        for info in infos:
            if what(control, info.name):
                note(f"batch {info.name} {word}")


def delete(name: str, batch: str | None) -> None:
    """Delete the batches, the followers first: one that others follow cannot be deleted."""
    with workflow_to_change(name, batch) as infos:
        for info in reversed(infos):
            open_batch(info.name).delete()
            note(f"batch {info.name} is deleted")
