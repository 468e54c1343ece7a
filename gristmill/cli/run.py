"""`gristmill run`."""

import signal
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import click

from gristmill.cli import options
from gristmill.cli.console import warn
from gristmill.cli.following import follow, say_what_is_new, say_what_was_consumed
from gristmill.cli.output import ResultWriter
from gristmill.cli.submitting import make_submission, remembered
from gristmill.config import settings
from gristmill.errors import ServerError
from gristmill.local.fleet import LocalFleet, running
from gristmill.producer.deadline import Deadline
from gristmill.producer.feeding import Feeding
from gristmill.producer.submission import Submission
from gristmill.producer.worker_checks import check_workers, live_workers
from gristmill.server.connection import reaching
from gristmill.tasks.kinds import Kind

#: How often another fleet may end under a batch before this command gives up.
HANDOVERS = 5


@click.command("run")
@options.feeding
@options.consume
@options.timeout
@options.quiet
def command(consume: bool, timeout: float | None, **feeding: object) -> int:
    """Run a batch here and now: prints results as they complete and exits with the batch's code.

    Joins the running fleet, or starts a worker for its own duration. Interrupted and repeated with the same
    --name and items, it goes on where it stopped. Items from a pipe are run as they come.

    \b
    Examples:
      gristmill run fibonacci 30 31 32
      find . -name '*.iso' -print0 | gristmill run digest --from - -0 > sums.jsonl
      gristmill run fetch --from urls.txt --set save=pages --name monday
    """
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    submission = make_submission(feeding)
    submission.check()
    with ResultWriter(repeats=True) as writer:
        for _ in range(HANDOVERS):
            try:
                with reaching(), _workers(submission.task.kind) as fleet:
                    return _run(submission, writer, consume, timeout, fleet)
            except ServerError as error:
                # A fleet that this one had joined may have ended: then it is ours to go on.
                again = submission.complete or submission.items.source.regular
                if settings().redis_url or running() or not again:
                    raise
                failure = error
    raise failure


def _run(
    submission: Submission, writer: ResultWriter, consume: bool, timeout: float | None, fleet: LocalFleet | None
) -> int:
    deadline = Deadline(timeout)
    for warning in check_workers(submission.task):
        warn(warning)
    with remembered(submission), Feeding(submission, deadline, warn) as feeding:
        batch = feeding.begun()
        info = batch.info()
        say_what_is_new(submission, info)
        say_what_was_consumed(info)
        return follow(batch, writer, consume=consume, deadline=deadline, fleet=fleet, feeding=feeding).exit_code


@contextmanager
def _workers(kind: Kind) -> Iterator[LocalFleet | None]:
    """Workers for the duration: those that run, else one of this kind, started and ended here."""
    if running() and not (settings().redis_url and not live_workers()):
        yield None
        return
    with (
        tempfile.TemporaryDirectory(prefix="gristmill-") as logs,
        LocalFleet("gristmill run", {kind: 0}, say=warn, logs=Path(logs)) as fleet,
    ):
        fleet.wait_ready()
        yield fleet
