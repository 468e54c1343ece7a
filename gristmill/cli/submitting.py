"""From a command's options to a submission."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import click

from gristmill.batches.ledger import OtherInput
from gristmill.cli import options
from gristmill.cli.console import note, warn
from gristmill.config import settings
from gristmill.errors import Cancelled, GristmillError
from gristmill.producer import items
from gristmill.producer.batch_options import Terms
from gristmill.producer.submission import Submission
from gristmill.server.home import Home
from gristmill.tasks import catalog


def submission(feeding: dict[str, Any]) -> Submission:
    """The submission that the options of `options.feeding` ask for.

    Raises:
        InputError: the task, the name, a term, a value for --set or the source is not allowed.
    """
    given, source = feeding["items"], feeding["source"]
    if given and source:
        raise click.UsageError("give items as arguments or with --from, not both")
    if not given and not source:
        raise click.UsageError("no items: give them as arguments, or with --from FILE (- is standard input)")
    task = catalog.find(feeding["task"])
    if source:
        read = items.from_path(source, feeding["form"], feeding["encoding"], nul=feeding["nul"])
    else:
        read = items.arguments(given)
    return Submission(
        task,
        read,
        name=feeding["name"],
        fixed=options.fixed(feeding["settings"]),
        terms=Terms.of(feeding["priority"], feeding["halt"], feeding["ttl"]),
        on_bad=(lambda text: warn(f"rejected: {text}")) if feeding["skip_bad"] else None,
        on_wait=warn,
    )


@contextmanager
def remembered(batch_run: Submission) -> Iterator[None]:
    """Remember the batch as the last submitted one; say what is stored when submitting breaks off."""
    try:
        yield
    except (OtherInput, Cancelled):
        raise
    except (GristmillError, TimeoutError) as error:
        if batch_run.complete or not batch_run.stored:
            raise
        raise type(error)(f"{error}; {_stored(batch_run)}") from error
    except KeyboardInterrupt:
        if batch_run.stored and not batch_run.complete:
            note(_stored(batch_run))
        raise
    finally:
        if batch_run.stored:
            Home(settings().home).last_batch = batch_run.name


def _stored(batch_run: Submission) -> str:
    return f"{batch_run.stored:,} items are stored, and the same command with --name {batch_run.name} goes on"
