"""What prints the results of a batch that a command submits: result lines, or the output of programs."""

import sys
from collections.abc import Iterator
from contextlib import contextmanager

import click

from gristmill.cli import options
from gristmill.cli.console import Quiet, on_terminal
from gristmill.cli.output.joblog import Joblog
from gristmill.cli.output.program_output import OutputWriter
from gristmill.cli.output.result_lines import Form, ResultWriter
from gristmill.config.names import PROGRAM
from gristmill.producer.submission import Submission


@contextmanager
def results_printer(
    submission: Submission, form: Form | None, as_json: bool, *, tag: bool, joblog: str | None, repeats: bool = False
) -> Iterator[ResultWriter]:
    """The writer of a batch's results; without a form programs print what they wrote.

    Raises:
        InputError: the file `joblog` cannot be written.
        click.UsageError: the options do not go together.
    """
    is_program = submission.task.name == PROGRAM
    if not is_program and (tag or joblog):
        raise click.UsageError(f"{'--tag' if tag else '--joblog'} goes with a program: put -- before it")
    if is_program and not (form or as_json):
        # A terminal shows what is written to stderr while it is written.
        shows_lines = on_terminal(sys.stderr) and not Quiet.on
        writer: ResultWriter = OutputWriter(tag=tag, logs=not shows_lines)
    elif tag:
        raise click.UsageError("--tag goes with the output of programs: it does not go with --format or --json")
    else:
        writer = ResultWriter(options.form_of(form, as_json), repeats=repeats)
    with writer:
        if joblog is None:
            yield writer
            return
        with Joblog(joblog, submission.items.fixed["command"]) as log:
            writer.also = log.add
            yield writer
