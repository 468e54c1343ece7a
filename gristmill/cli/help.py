"""`gristmill help`."""

from collections.abc import Iterable

import click

from gristmill.cli import completing, other_tools
from gristmill.cli.command import command as new_command
from gristmill.cli.console import write
from gristmill.cli.run import command as run

#: Columns of a line: as in the help of commands.
_WIDTH = 100


@new_command("help")
@click.argument("topic", required=False, metavar="[parallel|COMMAND]", shell_complete=completing.topics)
@click.pass_context
def command(context: click.Context, *, topic: str | None) -> int:
    """Show help on a command; `help parallel` shows our names for the options of GNU parallel, xargs and joblib.

    \b
    Examples:
      gristmill help parallel
      gristmill help run
    """
    group = context.find_root()
    if topic == "parallel":
        write(_parallel())
    elif topic is None:
        write(group.get_help())
    else:
        assert isinstance(group.command, click.Group)  # noqa: S101 (the root is)
        name, topic_command, _ = group.command.resolve_command(group, [topic])
        assert topic_command  # noqa: S101 (it raises for a word that is no command)
        write(topic_command.get_help(click.Context(topic_command, info_name=name, parent=group)))
    return 0


def _parallel() -> str:
    formatter = click.HelpFormatter(width=_WIDTH)
    formatter.write_text(
        "gristmill run -- PROGRAM … ::: … runs a command for each input, as GNU parallel does. The replacement strings "
        "{} {.} {/} {//} {/.} {#} {%} {1} {1.} {name}, and ::: :::: :::+ ::::+, mean the same. No shell reads the "
        "words, unless --shell is there."
    )
    sections: dict[str, Iterable[tuple[str, str]]] = {
        "GNU parallel": [(words.replace(" ", ", "), answer(words)) for words in other_tools.PARALLEL],
        "xargs": [(words.replace(" ", ", "), answer(words)) for words in other_tools.XARGS],
        "joblib.Parallel": other_tools.JOBLIB.items(),
    }
    for title, rows in sections.items():
        with formatter.section(title):
            formatter.write_dl(list(rows), col_max=34)
    return formatter.getvalue().rstrip("\n")


def answer(words: str) -> str:
    """What stands here for options of another tool: the help of ours where it has one of the words, else a hint."""
    ours = {name: option for option in run.params if isinstance(option, click.Option) for name in option.opts}
    for word in words.split():
        if word in ours:
            record = ours[word].get_help_record(click.Context(run))
            assert record  # noqa: S101 (no option is hidden)
            return f"{record[0]}: {record[1]}"
    return next(other_tools.OPTIONS[word] for word in words.split() if word in other_tools.OPTIONS)
