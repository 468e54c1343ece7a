"""`gristmill results`."""

import click

from gristmill.batches.info import BatchInfo
from gristmill.cli import options
from gristmill.cli.command import command as new_command
from gristmill.cli.lookup import named_batch
from gristmill.cli.output.following import follow, warn_of_consumed
from gristmill.cli.output.result_lines import Form, ResultWriter
from gristmill.errors import InputError
from gristmill.local.running_server import server_for_reading
from gristmill.producer.batch import Batch
from gristmill.server.connection import reaching
from gristmill.server.waiting import Deadline


@new_command("results")
@options.batch
@options.follow
@options.in_order
@options.selected_states
@click.option("--output", metavar="FILE", help="Write results to FILE, which appears when it is whole.")
@options.results_format
@options.consume
@options.max_wait
@options.quiet
def command(  # noqa: PLR0913
    batch: str | None,
    *,
    following: bool,
    in_order: bool,
    states: frozenset[str] | None,
    failed: bool,
    output: str | None,
    form: Form | None,
    as_json: bool,
    consume: bool,
    max_wait: float | None,
) -> int:
    """Print the results of BATCH, one line each. Exits with the batch's code.

    BATCH defaults to the batch last submitted from this host.

    \b
    Examples:
      gristmill results first
      gristmill results --failed --format csv --output failed.csv
      gristmill results --follow --json | jq .value
      gristmill results --follow --consume --output all.jsonl
    """
    states = options.states_of(states, failed)
    if output == "":
        raise click.BadParameter("'' (expected the name of a file)", param_hint="--output")
    _check(following, consume, states, max_wait)
    chosen_form = options.form_of(form, as_json, output)
    if output and chosen_form == "text":
        raise click.UsageError("--output FILE goes with --format jsonl or csv")
    with server_for_reading(), reaching():
        target = named_batch(batch)
        info = target.info()
        resume_key = f"{info.name} {info.created} {in_order}" if following else ""
        with ResultWriter(chosen_form, output, states=states, resume_key=resume_key) as writer:
            whole = output if states is None else None
            if whole:
                _refuse_consumed(info, writer, whole)
            elif states is None:
                warn_of_consumed(info)
            _write(target, writer, following, in_order, consume, Deadline(max_wait))
            info = target.info()
            if whole:
                _refuse_consumed(info, writer, whole)
        return info.exit_code


def _check(following: bool, consume: bool, states: frozenset[str] | None, max_wait: float | None) -> None:
    """Refuse options that do not go together."""
    if consume and states:
        raise click.UsageError("--consume does not go with --state or --failed")
    if consume and not following:
        raise click.UsageError("--consume goes with --follow")
    if max_wait is not None and not following:
        raise click.UsageError("--max-wait goes with --follow: without it nothing is waited for")


def _write(
    batch: Batch, writer: ResultWriter, following: bool, in_order: bool, consume: bool, deadline: Deadline
) -> None:
    if following:
        follow(batch, writer, in_order=in_order, consume=consume, deadline=deadline)
    else:
        writer.write_all(batch.present(values=writer.needs_values))


def _refuse_consumed(info: BatchInfo, writer: ResultWriter, output: str) -> None:
    """Refuse to write a file that would lack results which another command has consumed."""
    if info.consumed > writer.succeeded:
        raise InputError(
            f"{output!r} would not be whole: another command consumed {info.consumed - writer.succeeded:,} results of "
            f"batch {info.name}; without --output this command prints the others"
        )
