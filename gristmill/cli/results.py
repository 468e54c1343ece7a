"""`gristmill results`."""

from typing import Literal

import click

from gristmill.batches.info import BatchInfo
from gristmill.cli import options
from gristmill.cli.following import follow, say_what_was_consumed
from gristmill.cli.lookup import named_batch
from gristmill.cli.output import ResultWriter
from gristmill.errors import InputError
from gristmill.local.fleet import server_for_reading
from gristmill.producer.deadline import Deadline
from gristmill.server.connection import reaching


@click.command("results")
@options.batch
@click.option("--follow", "following", is_flag=True, help="Go on until the batch has ended.")
@click.option("--in-order", is_flag=True, help="By index, not as they complete.")
@click.option("--failed", is_flag=True, help="Only items that did not succeed.")
@click.option("--output", metavar="FILE", help="Write to FILE, which appears when it is whole.")
@click.option("--format", "form", type=click.Choice(["jsonl", "csv"]), default="jsonl", show_default=True)
@options.consume
@options.timeout
@options.quiet
def command(
    batch: str | None,
    following: bool,
    in_order: bool,
    failed: bool,
    output: str | None,
    form: Literal["jsonl", "csv"],
    consume: bool,
    timeout: float | None,
) -> int:
    """Print the results of BATCH (default: the last submitted from this host), a line each.

    \b
    Examples:
      gristmill results first --in-order
      gristmill results --failed --format csv --output failed.csv
      gristmill results --follow | jq .value
      gristmill results --follow --consume --output all.jsonl
    """
    if consume and (failed or not following):
        raise click.UsageError("--consume goes with --follow" + (", and not with --failed" if failed else ""))
    with server_for_reading(), reaching():
        found = named_batch(batch)
        info = found.info()
        whose = f"{info.name} {info.created} {in_order}" if following else ""
        with ResultWriter(form, output, failed_only=failed, whose=whose) as writer:
            if output and not failed:
                _refuse_consumed(info, writer, output)
            elif not failed:
                say_what_was_consumed(info)
            if following:
                follow(found, writer, in_order=in_order, consume=consume, deadline=Deadline(timeout))
            else:
                writer.write_all(found.results(follow=False))
            info = found.info()
            if output and not failed:
                _refuse_consumed(info, writer, output)
        return info.exit_code


def _refuse_consumed(info: BatchInfo, writer: ResultWriter, output: str) -> None:
    """Refuse to write a file that would lack results that another command has consumed."""
    if info.consumed > writer.succeeded:
        raise InputError(
            f"{info.consumed - writer.succeeded:,} results of batch {info.name} were consumed by another command, so "
            f"that {output!r} would not be whole: without --output those that are left are printed"
        )
