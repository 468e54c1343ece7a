"""From a command's options to a submission."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import click

from gristmill.batches.ledger import DifferentInput
from gristmill.cli import options
from gristmill.cli.console import note, warn
from gristmill.config import settings
from gristmill.errors import BatchCancelled, GristmillError
from gristmill.producer import items
from gristmill.producer.batch_options import BatchOptions
from gristmill.producer.submission import Submission
from gristmill.server.home import Home
from gristmill.tasks import catalog


def make_submission(feeding: dict[str, Any]) -> Submission:
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
        options=BatchOptions.of(feeding["priority"], feeding["halt"], feeding["ttl"]),
        on_bad=(lambda text: warn(f"rejected: {text}")) if feeding["skip_bad"] else None,
        on_wait=warn,
    )


@contextmanager
def remembered(submission: Submission) -> Iterator[None]:
    """Remember the batch as the last submitted one; say what is stored when submitting breaks off."""
    try:
        yield
    except (DifferentInput, BatchCancelled):
        raise
    except (GristmillError, TimeoutError) as error:
        if submission.complete or not submission.stored:
            raise
        raise type(error)(f"{error}; {_stored(submission)}") from error
    except KeyboardInterrupt:
        if submission.stored and not submission.complete:
            note(_stored(submission))
        raise
    finally:
        if submission.stored:
            Home(settings().home).last_batch = submission.name


def _stored(submission: Submission) -> str:
    return f"{submission.stored:,} items are stored, and the same command with --name {submission.name} goes on"
