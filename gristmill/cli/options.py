"""Options that several commands share."""

import sys
from collections.abc import Callable
from typing import Any, TypeVar

import click

from gristmill.cli.console import Quiet
from gristmill.producer.batch_options import DEFAULT_PRIORITY, FIRST, LAST
from gristmill.producer.items import FORMATS

Command = TypeVar("Command", bound=Callable[..., Any])


def _quiet(_context: click.Context, _parameter: click.Parameter, value: bool) -> None:
    Quiet.on = Quiet.on or value


quiet = click.option("--quiet", is_flag=True, expose_value=False, callback=_quiet, help="No notes, no bar.")
as_json = click.option("--json", "as_json", is_flag=True, help="JSON lines instead of a table or a bar.")
timeout = click.option(
    "--timeout", type=click.FloatRange(min=0), metavar="S", help="Wait at most S seconds (exit 124)."
)
consume = click.option(
    "--consume", is_flag=True, help="Remove results from the server once they are written, all but failures."
)
batch = click.argument("batch", required=False)


def feeding(command: Command) -> Command:
    """The options with which a batch is fed."""
    for option in reversed(
        [
            click.argument("task"),
            click.argument("items", nargs=-1, metavar="[ITEM]..."),
            click.option("--from", "source", metavar="FILE", help="Read items from FILE; - is standard input."),
            click.option("--format", "form", type=click.Choice(FORMATS), default="lines", show_default=True),
            click.option("--encoding", default="utf-8", show_default=True, help="Of FILE."),
            click.option("--name", help="The batch's name; repeat it to go on with an interrupted submit."),
            click.option(
                "--set",
                "settings",
                multiple=True,
                metavar="KEY=VALUE",
                help="An argument that all items share.",
            ),
            click.option("--skip-bad", is_flag=True, help="Report bad items and go on without them."),
            click.option(
                "--priority",
                type=click.IntRange(FIRST, LAST),
                default=DEFAULT_PRIORITY,
                show_default=True,
                help="0 runs first.",
            ),
            click.option("--halt", metavar="N|P%", help="Cancel the batch once so many items, or of all, have failed."),
            click.option("--ttl", metavar="TIME", help="Keep it so long after its end: 90s, 30m, 12h, 7d."),
            click.option("-0", "nul", is_flag=True, help="Items end with a NUL byte, as of `find -print0`."),
        ]
    ):
        command = option(command)
    return command


def fixed(settings: tuple[str, ...]) -> dict[str, str]:
    """The arguments given with `--set`."""
    found: dict[str, str] = {}
    for setting in settings:
        key, equals, value = setting.partition("=")
        if not equals or not key:
            raise click.BadParameter(f"{setting!r} is not allowed: KEY=VALUE is", param_hint="--set")
        if key in found:
            raise click.BadParameter(f"{key!r} is given twice", param_hint="--set")
        found[key] = value
    return found


def stdin_is_piped() -> bool:
    """Whether standard input is something other than a terminal."""
    return not sys.stdin.isatty()
