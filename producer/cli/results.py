"""`gristmill results`."""

from typing import Literal

import click

from broker.connection import reaching
from producer.cli import options
from producer.cli.following import follow
from producer.cli.lookup import named_batch
from producer.cli.output import ResultWriter
from producer.fleet import server_for_reading


@click.command("results")
@options.batch
@click.option("--follow", "following", is_flag=True, help="Go on until the batch has ended.")
@click.option("--in-order", is_flag=True, help="By index, not as they complete.")
@click.option("--failed", is_flag=True, help="Only items that did not succeed.")
@click.option("--output", metavar="FILE", help="Write to FILE, which appears when it is whole.")
@click.option("--format", "form", type=click.Choice(["jsonl", "csv"]), default="jsonl", show_default=True)
@options.timeout
@options.quiet
def command(
    batch: str | None,
    following: bool,
    in_order: bool,
    failed: bool,
    output: str | None,
    form: Literal["jsonl", "csv"],
    timeout: float | None,
) -> int:
    """Print the results of BATCH (default: the last submitted from this host), a line each.

    \b
    Examples:
      gristmill results first --in-order
      gristmill results --failed --format csv --output failed.csv
      gristmill results --follow | jq .value
    """
    with server_for_reading(), reaching():
        found = named_batch(batch)
        with ResultWriter(form, output, failed_only=failed) as writer:
            if following:
                return follow(found, writer, in_order=in_order, timeout=timeout).exit_code
            for result in found.results(follow=False):
                writer.write(result)
        return found.info().exit_code
