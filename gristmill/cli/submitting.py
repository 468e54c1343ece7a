"""From a command's options to a submission."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import click

from gristmill.batches.ledger import DifferentInput
from gristmill.cli import options
from gristmill.cli.console import note, warn
from gristmill.cli.task_command import find_task
from gristmill.config import settings
from gristmill.config.figures import item_count
from gristmill.errors import BatchCancelled, GristmillError
from gristmill.producer import items
from gristmill.producer.batch_options import OPTION_NAMES, BatchOptions
from gristmill.producer.submission import Submission
from gristmill.server.home import Home


def make_submission(feeding: dict[str, Any]) -> Submission:
    """The submission that the options of `options.feeding` ask for.

    Raises:
        InputError: the task, the batch's name, an option, a value of --set or the source is not allowed.
        click.UsageError: the options do not go together.
    """
    task, fixed = find_task(feeding["task"]), options.arguments_of(feeding["settings"])
    return Submission(
        task,
        _source(feeding, needs_items=bool(task.schema.open_parameters(fixed))),
        name=feeding["name"],
        queue=feeding["queue"],
        fixed=fixed,
        options=BatchOptions.of(**{name: feeding[name] for name in OPTION_NAMES}),
        on_bad=(lambda text: warn(f"rejected: {text}")) if feeding["skip_bad"] else None,
        on_wait=warn,
    )


def _source(feeding: dict[str, Any], needs_items: bool) -> items.Source:
    arguments, path = feeding["items"], feeding["source"]
    if arguments and path:
        raise click.UsageError("give items as arguments or with --from, not both")
    if path:
        encoding = feeding["encoding"] or "utf-8"
        return items.from_path(path, feeding["input_format"], encoding, nul=feeding["nul"])
    if not arguments and needs_items:
        raise click.UsageError("no items: give them as arguments, or with --from FILE (- is standard input)")
    for option, name in (("-0", "nul"), ("--input-format", "input_format"), ("--encoding", "encoding")):
        if feeding[name]:
            raise click.UsageError(f"{option} goes with --from FILE: arguments are taken as they are")
    # A task whose every parameter has a default, or is set, runs once.
    return items.arguments(arguments or ["{}"])


@contextmanager
def remember_batch(submission: Submission) -> Iterator[None]:
    """Remember the batch as the last submitted; say how many items the server has when submitting breaks off."""
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
    return f"{item_count(submission.stored, 'are')} stored, and the same command with --name {submission.name} goes on"
