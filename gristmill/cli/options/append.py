"""The options with which `submit` adds to an open batch."""

from typing import Any

import click

from gristmill.cli.options.group import option_group
from gristmill.cli.options.values import Duration, Parsed
from gristmill.config.names import checked_name
from gristmill.producer.append_options import AppendOptions

_NAMES = {"close_after": "--close-after", "dedupe_by": "--dedupe-by", "token": "--token"}


#: `--append`, and what goes with it.
appending = option_group(
    click.option(
        "--append", is_flag=True, help="Add the items to the batch --name, which is open until `gristmill close`."
    ),
    click.option(
        "--close-after",
        type=Duration(1),
        metavar="DURATION",
        help="Close the batch once nothing was appended for this long, such as 1h.",
    ),
    click.option(
        "--dedupe-by", metavar="NAME", help="Append no item whose value of parameter NAME the batch has already."
    ),
    click.option(
        "--token",
        type=Parsed(lambda token: checked_name(token, "token")),
        metavar="TOKEN",
        help="Name of this append: the same one again adds only what is missing.",
    ),
)


def append_options_of(feeding: dict[str, Any]) -> AppendOptions | None:
    """The options of an append; None where the command has no `--append`.

    Raises:
        click.UsageError: the options do not go together.
    """
    values = {name: feeding.get(name) for name in _NAMES}
    if feeding.get("append"):
        if feeding["name"] is None:
            raise click.UsageError("--append goes with --name, the batch to append to")
        return AppendOptions.of(**values)
    for name, value in values.items():
        if value is not None:
            raise click.UsageError(f"{_NAMES[name]} goes with --append")
    return None
