"""From a command's options to a submission."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict
from typing import Any

from gristmill.batches.feed import DifferentInput
from gristmill.cli import options
from gristmill.cli.console import note, warn
from gristmill.cli.submission import sources
from gristmill.config.figures import item_count
from gristmill.config.settings import settings
from gristmill.errors import BatchCancelled, GristmillError
from gristmill.loading import loading
from gristmill.producer.batch_options import OPTION_NAMES, BatchOptions
from gristmill.producer.new_submission import new_submission
from gristmill.producer.submission import Submission
from gristmill.server.home import Home
from gristmill.tasks.program.function import program_task
from gristmill.tasks.remote import SubmittableTask


def make_submission(feeding: dict[str, Any], **kinds: Any) -> Submission:
    """The submission that the options of `options.feeding` ask for; `kinds` are keywords of `new_submission`.

    Raises:
        InputError: the task, the batch's name, an option, a value of --set or the source is not allowed.
        click.BadParameter: no file can be made in an `--output-dir` of this host.
        click.UsageError: the options do not go together.
    """
    task = program_task() if feeding["program"] is not None else _find_task(feeding["task"])
    fixed: dict[str, Any] = {**options.arguments_of(feeding["settings"])}
    if command := sources.command_of(feeding):
        fixed["command"] = asdict(command)
        # A program writes there by itself.
        feeding = {**feeding, "output_dir": None}
        # What a program writes to stderr is a part of what the command prints.
        feeding = {**feeding, "keep_logs": feeding["keep_logs"] or "all"}
    elif feeding["output_dir"] and not settings().redis_url:
        # Imported here, because few tasks write there.
        from gristmill.cli.submission.output_dir import check_below_data_root

        check_below_data_root(feeding["output_dir"])
    return new_submission(
        task,
        sources.source_of(feeding, task.schema, fixed),
        name=feeding["name"],
        queue=feeding["queue"],
        fixed=fixed,
        options=BatchOptions.of(**{name: feeding[name] for name in OPTION_NAMES}),
        on_bad=(lambda text: warn(f"rejected: {text}")) if feeding["skip_bad"] else None,
        on_wait=warn,
        **kinds,
    )


def _find_task(word: str) -> SubmittableTask:
    # Imported here, because a program needs no Celery.
    with loading():
        from gristmill.cli.submission.task_names import find_task

    return find_task(word)


@contextmanager
def remember_batch(submission: Submission) -> Iterator[None]:
    """Remember the batch as the last submitted; say how many items the server has when submitting breaks off."""
    try:
        yield
    except (DifferentInput, BatchCancelled):
        raise
    except (GristmillError, TimeoutError) as error:
        if submission.complete or not submission.stored or not submission.makes_batch:
            raise
        raise type(error)(f"{error}; {_stored(submission)}") from error
    except KeyboardInterrupt:
        if submission.stored and not submission.complete and submission.makes_batch:
            note(_stored(submission))
        raise
    finally:
        if submission.makes_batch and (submission.stored or submission.complete):
            Home(settings().home).last_batch = submission.name


def _stored(submission: Submission) -> str:
    return f"{item_count(submission.stored, 'are')} stored, and the same command with --name {submission.name} goes on"
