"""`gristmill submit`."""

import click

from gristmill.batches.info import BatchInfo
from gristmill.batches.schedules import ScheduleInfo
from gristmill.cli import options
from gristmill.cli.command import command as new_command
from gristmill.cli.console import note, warn, write
from gristmill.cli.options import program as program_options
from gristmill.cli.options.append import append_options_of, appending
from gristmill.cli.options.later import later, schedule_of, start_time_of
from gristmill.cli.output.following import follow, say_if_repeated
from gristmill.cli.output.item_lines import ItemLines
from gristmill.cli.output.printing import results_printer
from gristmill.cli.output.result_lines import Form, ResultWriter
from gristmill.cli.start_advice import warn_without_worker
from gristmill.cli.submission.dry_run import print_dry_run
from gristmill.cli.submission.submitting import make_submission, remember_batch
from gristmill.cli.submission.task_command import TaskCommand
from gristmill.config.figures import item_count, local_moment
from gristmill.producer.append import AppendSubmission
from gristmill.producer.feeding import Feeding
from gristmill.producer.schedule import ScheduleSubmission
from gristmill.producer.submission import Submission
from gristmill.server.connection import reaching
from gristmill.server.waiting import Deadline, within


@new_command("submit", TaskCommand)
@options.feeding
@appending
@later
@options.follow
@options.in_order
@options.results_format
@program_options.printing
@options.max_wait
@options.quiet
def command(
    *,
    following: bool,
    in_order: bool,
    form: Form | None,
    as_json: bool,
    tag: bool,
    joblog: str | None,
    max_wait: float | None,
    **feeding: object,
) -> int:
    """Store a batch for the workers that run (`gristmill up`), and print its name.

    `--` before a word begins a program; after TASK it ends the options: items may begin with a dash.

    \b
    Examples:
      gristmill submit fibonacci 30 35 40
      seq 1 30 | gristmill submit fibonacci --from - --name first --follow
      gristmill submit fetch --from urls.txt --set save=pages
      gristmill submit resize --from photos.csv
      gristmill submit -- gzip -9 ::: logs/*.log
      gristmill submit thumbnail new.jpg --name photos --append --dedupe-by path
      gristmill submit fetch --from urls.txt --name nightly --cron '30 2 * * *'
    """
    if not following and (in_order or form or as_json or tag or joblog):
        raise click.UsageError(
            "--in-order, --format, --json, --tag and --joblog go with --follow: without it no results are printed"
        )
    append, at, schedule = append_options_of(feeding), start_time_of(feeding), schedule_of(feeding)
    submission = make_submission(feeding, append=append, at=at, schedule=schedule)
    deadline = Deadline(max_wait)
    if following and not submission.makes_batch:
        raise click.UsageError("--follow follows a batch: a schedule makes one at each of its times")
    if feeding["dry_run"]:
        return print_dry_run(submission)
    with within(deadline), reaching():
        for warning in submission.warnings():
            warn(warning)
        submission.check()
        if following:
            with results_printer(submission, form, as_json, tag=tag, joblog=joblog) as writer:
                return _follow(submission, writer, in_order, deadline)
        with remember_batch(submission), Feeding(submission, deadline) as submitting:
            submitting.finish()
        if isinstance(submission, ScheduleSubmission):
            write(submission.name)
            _say_when_it_runs(submission.info(), is_new=submission.is_new)
            return 0
        batch = submission.batch()
        say_if_repeated(submission, batch.info())
        warn_without_worker(submission.queue, str(submission.task.kind))
        write(batch.name)
        _say_what_was_stored(submission, batch.info())
        return 0


def _follow(submission: Submission, writer: ResultWriter, in_order: bool, deadline: Deadline) -> int:
    lines = ItemLines.on_terminal(submission.name)
    with remember_batch(submission), Feeding(submission, deadline, warn) as feeding:
        batch = feeding.verified_batch()
        say_if_repeated(submission, batch.info())
        try:
            info = follow(batch, writer, in_order=in_order, deadline=deadline, feeding=feeding, lines=lines)
            return info.exit_code
        except BrokenPipeError:
            # Nobody reads results any more, but the server still has to get all items.
            feeding.finish()
            raise


def _say_what_was_stored(submission: Submission, info: BatchInfo) -> None:
    """Say how many items a batch has, or what an append has added to it, and how to go on."""
    if isinstance(submission, AppendSubmission):
        there = f", {submission.present:,} were there already" if submission.present else ""
        note(f"added {submission.added:,}{there}; when nothing more comes: gristmill close {info.name}")
    elif info.scheduled_at is not None:
        note(f"{item_count(info.submitted)} of {info.task} stored; they begin at {local_moment(info.scheduled_at)}")
    elif info.from_batch is not None:
        note(f"{info.task} runs the values of {info.from_batch}; follow them with: gristmill watch {info.name}")
    else:
        note(f"{item_count(info.submitted)} of {info.task} stored; follow them with: gristmill watch {info.name}")


def _say_when_it_runs(info: ScheduleInfo, *, is_new: bool) -> None:
    """Say when a schedule that was made now, or before, makes its next batch."""
    when = "is paused" if info.paused else "has no time to come"
    if info.next is not None:
        when = f"makes a batch at {local_moment(info.next)}"
    note(f"{'' if is_new else 'nothing new: '}schedule {info.name} of {item_count(info.items)} {when}")
