"""`gristmill submit`."""

import click

from gristmill.cli import options
from gristmill.cli.console import note, warn, write
from gristmill.cli.following import follow, say_what_is_new
from gristmill.cli.output import ResultWriter
from gristmill.cli.submitting import make_submission, remembered
from gristmill.producer.deadline import Deadline
from gristmill.producer.feeding import Feeding
from gristmill.producer.submission import Submission
from gristmill.producer.worker_checks import check_workers, live_workers, no_worker
from gristmill.server.connection import reaching


@click.command("submit")
@options.feeding
@click.option("--follow", "following", is_flag=True, help="Print results as they complete; exit with the batch's code.")
@options.timeout
@options.quiet
def command(following: bool, timeout: float | None, **feeding: object) -> int:
    """Store a batch for the workers that run (`gristmill up`); prints its name.

    \b
    Examples:
      gristmill submit fibonacci 30 35 40
      seq 1 30 | gristmill submit fibonacci --from - --name first --follow
      gristmill submit fetch --from urls.txt --set save=pages
      gristmill submit resize --from photos.csv --format csv
    """
    submission = make_submission(feeding)
    with reaching():
        for warning in check_workers(submission.task):
            warn(warning)
        submission.check()
        deadline = Deadline(timeout)
        if following:
            return _follow(submission, deadline)
        with remembered(submission):
            batch = submission.send(deadline)
        say_what_is_new(submission, batch.info())
        if not any(worker.queue == submission.queue for worker in live_workers()):
            warn(no_worker(submission.queue))
        write(batch.name)
        info = batch.info()
        note(f"{info.submitted:,} items of {info.task} stored; follow them with: gristmill watch {batch.name}")
        return 0


def _follow(submission: Submission, deadline: Deadline) -> int:
    with ResultWriter() as writer, remembered(submission), Feeding(submission, deadline, warn) as feeding:
        batch = feeding.begun()
        say_what_is_new(submission, batch.info())
        try:
            return follow(batch, writer, deadline=deadline, feeding=feeding).exit_code
        except BrokenPipeError:
            # Nobody reads results any more; the items are to be stored all the same.
            feeding.finish()
            raise
