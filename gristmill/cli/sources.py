"""From a command's options to the source of its items, and to the command that a program's batch shares."""

from typing import Any

import click

from gristmill.cli import program_options
from gristmill.cli.argv import SourceWords
from gristmill.producer import items
from gristmill.producer.items.combined import Combined
from gristmill.producer.items.grouped import Grouped
from gristmill.producer.items.program_inputs import ProgramInputs
from gristmill.tasks.program.command import CommandLine
from gristmill.tasks.schema import Schema
from gristmill.tasks.task import GristmillTask


def program_task() -> GristmillTask:
    """The task that runs programs, which only those workers know that may run them."""
    # Importing it makes the task known here.
    from gristmill.tasks.program.task import program

    return program


def command_of(feeding: dict[str, Any]) -> CommandLine | None:
    """The command to run for each item; None for a task.

    Raises:
        InputError: there is no program, or a word of it is not allowed.
        click.UsageError: an option of programs was given with a task.
    """
    words = feeding["program"]
    if words is None:
        program_options.refuse_with_task(feeding)
        return None
    return CommandLine(words, shell=feeding["shell"], **program_options.of_command(feeding))


def source_of(feeding: dict[str, Any], schema: Schema, fixed: dict[str, Any]) -> items.Source:
    """The items: arguments, those of `:::` and its like, or those of `--from`.

    Raises:
        InputError: the source cannot be read.
        click.UsageError: the options do not go together.
    """
    source = _source(feeding, needs_items=bool(schema.open_parameters(fixed)))
    if feeding["group"]:
        source = Grouped(source, feeding["group"])
    return source if feeding["program"] is None else ProgramInputs(source)


def _source(feeding: dict[str, Any], needs_items: bool) -> items.Source:
    arguments, path, sources = feeding["items"], feeding["source"], feeding["sources"]
    if bool(arguments) + bool(path) + bool(sources) > 1:
        raise click.UsageError("give items as arguments, after ::: or with --from, in one of these ways only")
    if path:
        return items.from_path(path, feeding["input_format"], feeding["encoding"] or "utf-8", nul=feeding["nul"])
    if sources:
        return _combined(sources, feeding)
    if not arguments and needs_items:
        raise click.UsageError("no items: give them as arguments, after ::: or with --from FILE (- is standard input)")
    for option, name in (("-0", "nul"), ("--input-format", "input_format"), ("--encoding", "encoding")):
        if feeding[name]:
            raise click.UsageError(f"{option} goes with --from FILE: arguments are taken as they are")
    # A task whose every parameter has a default, or is set, runs once.
    return items.arguments(arguments or ["{}"])


def _combined(sources: tuple[SourceWords, ...], feeding: dict[str, Any]) -> items.Source:
    groups: list[list[items.Source]] = []
    for mark, words in sources:
        files = mark.startswith("::::")
        own = [_file(word, feeding) for word in words] if files else [items.arguments(words)]
        if mark.endswith("+") and groups:
            groups[-1] += own
        else:
            groups += [[source] for source in own]
    if len(groups) == 1 and len(groups[0]) == 1:
        return groups[0][0]
    return Combined(groups)


def _file(path: str, feeding: dict[str, Any]) -> items.Source:
    return items.from_path(path, "lines", feeding["encoding"] or "utf-8", nul=feeding["nul"])
