"""`gristmill run`."""

import signal
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING

from gristmill.batches.info import ENDED, ON_HOLD
from gristmill.cli import options
from gristmill.cli.command import command as new_command
from gristmill.cli.console import warn
from gristmill.cli.options import program as program_options
from gristmill.cli.output.following import follow, say_if_repeated, warn_of_consumed
from gristmill.cli.output.item_lines import ItemLines
from gristmill.cli.output.printing import results_printer
from gristmill.cli.output.result_lines import Form, ResultWriter
from gristmill.cli.submission.dry_run import print_dry_run
from gristmill.cli.submission.fleet_size import size_fleet
from gristmill.cli.submission.submitting import make_submission, remember_batch
from gristmill.cli.submission.task_command import TaskCommand
from gristmill.config.figures import item_count
from gristmill.config.names import worker_word
from gristmill.config.settings import settings
from gristmill.errors import ServerError
from gristmill.loading import loading
from gristmill.local.running_server import running
from gristmill.producer.batches import batches
from gristmill.producer.feeding import Feeding
from gristmill.producer.submission import Submission
from gristmill.producer.worker_checks import live_workers
from gristmill.server.connection import reaching
from gristmill.server.waiting import Deadline, within

if TYPE_CHECKING:
    from gristmill.local.fleet import LocalFleet

#: How often another fleet may end under a batch before this command gives up.
HANDOVERS = 5


@new_command("run", TaskCommand)
@options.feeding
@options.in_order
@options.results_format
@program_options.printing
@options.consume
@options.max_wait
@options.quiet
def command(
    *,
    in_order: bool,
    form: Form | None,
    as_json: bool,
    tag: bool,
    joblog: str | None,
    consume: bool,
    max_wait: float | None,
    **feeding: object,
) -> int:
    """Run a batch here and now: print its results, and exit with its code.

    The command joins the running fleet, or starts a worker for its own duration. After an interruption, the same
    command with the same --name and items goes on. Items from a pipe run as they come. `--` before a word begins a
    program, whose template each input fills; `--` after TASK ends the options: items may begin with a dash.

    \b
    Examples:
      gristmill run fibonacci 30 31 32
      find . -name '*.iso' -print0 | gristmill run digest --from - -0 > sums.jsonl
      gristmill run fetch --from urls.txt --set save=pages --name monday
      gristmill run sim ::: lr=0.1,0.01 ::: seed=1..5
      gristmill run -- ffmpeg -i {} {.}.mp3 ::: *.wav
    """
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    submission = make_submission(feeding)
    if feeding["dry_run"]:
        return print_dry_run(submission)
    submission.check()
    with results_printer(submission, form, as_json, tag=tag, joblog=joblog, repeats=True) as writer:
        for _ in range(HANDOVERS):
            try:
                deadline = Deadline(max_wait)
                with within(deadline), reaching(), _workers(submission) as fleet:
                    return _run(submission, writer, in_order, consume, deadline, fleet)
            except ServerError as error:
                # The fleet that this command had joined may have ended: then this command goes on with its own.
                repeatable = submission.complete or submission.items.source.regular
                if settings().redis_url or running() or not repeatable:
                    raise
                failure = error
    raise failure


def _run(
    submission: Submission,
    writer: ResultWriter,
    in_order: bool,
    consume: bool,
    deadline: Deadline,
    fleet: "LocalFleet | None",
) -> int:
    # No other worker can reach a private server of this command's own.
    for warning in submission.warnings(final=fleet is not None and not settings().redis_url):
        warn(warning)
    lines = ItemLines.on_terminal(submission.name)
    with remember_batch(submission), Feeding(submission, deadline, warn) as feeding:
        batch = feeding.verified_batch()
        info = batch.info()
        say_if_repeated(submission, info)
        warn_of_consumed(info)
        info = follow(
            batch,
            writer,
            in_order=in_order,
            consume=consume,
            deadline=deadline,
            fleet=fleet,
            feeding=feeding,
            lines=lines,
        )
        if fleet:
            from gristmill.cli.notice import await_notice

            await_notice(batch, fleet)
        return info.exit_code


@contextmanager
def _workers(submission: Submission) -> Iterator["LocalFleet | None"]:
    """Workers for the duration: the running ones, else one of the batch's queue that this command starts and ends."""
    if running() and not (settings().redis_url and not live_workers()):
        yield None
        return
    # Who has joined a fleet needs nothing that starts one.
    with loading():
        from gristmill.local.descendants import become_subreaper
        from gristmill.local.fleet import LocalFleet

    word = worker_word(submission.queue, str(submission.task.kind))
    become_subreaper()
    with (
        TemporaryDirectory(prefix="gristmill-") as logs,
        LocalFleet("gristmill run", {word: size_fleet(submission)}, say=warn, logs=Path(logs)) as fleet,
    ):
        _warn_of_others(submission)
        fleet.wait_ready()
        yield fleet


def _warn_of_others(submission: Submission) -> None:
    """Name the batches of earlier commands that the worker of this one goes on with."""
    for info in batches():
        others = info.name != submission.name and info.queue == submission.queue
        if others and info.left and info.state not in ENDED | ON_HOLD:
            warn(
                f"batch {info.name} of an earlier command runs too, with {item_count(info.left)} left: "
                f"`gristmill pause {info.name}` holds it, `gristmill cancel {info.name}` ends it"
            )
