"""The options that say which items a command submits, and what a program makes of them."""

import click

from gristmill.cli.options.group import option_group
from gristmill.cli.options.values import Integer, OneOf, Parsed
from gristmill.errors import InputError, invalid_value
from gristmill.producer.items import FORMATS

#: Items of a group: more would make an item longer than 1 MiB in most cases.
GROUP_MOST = 100_000


def _separator(text: str) -> str:
    """What separates columns; TAB can be written as `\\t`."""
    separator = text.replace("\\t", "\t")
    if not separator or "\n" in separator:
        raise InputError(invalid_value("--separator", text, "text on one line, such as ';' or '\\t'"))
    return separator


def _names(text: str) -> tuple[str, ...]:
    """Names between commas, none of them twice or empty."""
    names = tuple(name.strip() for name in text.split(","))
    if not all(names) or len({*names}) < len(names):
        raise InputError(invalid_value("--columns", text, "different names between commas, such as name,size"))
    return names


#: The options about the source of items.
items_input = option_group(
    click.option("--from", "files", multiple=True, metavar="FILE", help="Read items from FILE; - is standard input."),
    click.option(
        "--input-format",
        type=OneOf(FORMATS),
        help="Form of FILE; default: by its suffix (.jsonl, .ndjson, .csv, .tsv), else lines.",
    ),
    click.option(
        "--separator", type=Parsed(_separator), metavar="TEXT", help="What separates the columns of lines, csv or tsv."
    ),
    click.option(
        "--columns",
        type=Parsed(_names),
        metavar="NAME,…",
        help="Names of the columns of lines; columns of a table to read.",
    ),
    click.option("-0", "nul", is_flag=True, help="Items in FILE end with NUL, as `find -print0` writes them."),
    click.option("--encoding", metavar="NAME", help="Encoding of FILE; default: utf-8."),
    click.option("--skip-bad", is_flag=True, help="Report bad items and go on without them."),
    click.option("--allow-empty", is_flag=True, help="Exit with 0 when there are no items."),
    click.option("-n", "group", type=Integer(1, GROUP_MOST), metavar="N", help="Make one item of N inputs."),
    click.option(
        "--set",
        "settings",
        multiple=True,
        metavar="KEY=VALUE",
        help="An argument that all items share; KEY:=JSON for null or a list.",
    ),
)


#: The options of programs.
program = option_group(
    click.option("--shell", is_flag=True, help="Run the words of PROGRAM as one line for `sh -c`."),
    click.option("--dry-run", is_flag=True, help="Print the commands, or the items, and submit nothing."),
)
