"""From a command's options to the source of its items, and to the command that a program's batch shares."""

import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import click

from gristmill.cli.options import program as program_options
from gristmill.cli.submission.argv import SourceWords
from gristmill.errors import InputError, invalid_value
from gristmill.producer import items
from gristmill.producer.items.combined import Combined
from gristmill.producer.items.grouped import Grouped
from gristmill.producer.items.of_batch import ValuesOfBatch
from gristmill.producer.items.program_inputs import ProgramInputs
from gristmill.producer.items.task_arguments import Parameters, task_source
from gristmill.tasks.program.command import CommandLine
from gristmill.tasks.schema import Schema

#: The options about files, by the name of their value.
_OF_FILES = {
    "nul": "-0",
    "input_format": "--input-format",
    "encoding": "--encoding",
    "separator": "--separator",
    "columns": "--columns",
}
_NO_ITEMS = "no items: give them as arguments, after ::: or with --from FILE (- is standard input)"


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
    if len(words) == 1 and " " in words[0].strip() and not feeding["shell"] and not Path(words[0]).exists():
        raise InputError(
            invalid_value("PROGRAM", words[0], "a program and its arguments as words of their own, or --shell")
        )
    return CommandLine(words, shell=feeding["shell"], **program_options.of_command(feeding))


def source_of(feeding: dict[str, Any], schema: Schema, fixed: dict[str, Any]) -> items.Source:
    """The items: arguments, those of `:::` and its like, or those of `--from`.

    Raises:
        InputError: the source cannot be read, or does not fit the task's parameters.
        click.UsageError: the options do not go together.
    """
    if sum(map(bool, (feeding["items"], feeding["files"], feeding["sources"]))) > 1:
        raise click.UsageError("give items as arguments, after ::: or with --from, in one of these ways only")
    if feeding["from_batch"]:
        if feeding["items"] or feeding["files"] or feeding["sources"] or feeding["group"]:
            raise click.UsageError("--from-batch gives the items: it does not go with others, or with -n")
        return ValuesOfBatch(feeding["from_batch"])
    if feeding["program"] is not None:
        # The columns of --from are split as they are read.
        separator = feeding["separator"] if feeding["sources"] else None
        return ProgramInputs(_grouped(_program_source(feeding), feeding), separator or "")
    return _grouped(_task_source(feeding, schema, fixed), feeding)


def _grouped(source: items.Source, feeding: dict[str, Any]) -> items.Source:
    if not feeding["group"]:
        return source
    if source.columns() is not None:
        raise click.UsageError("-n makes lists of inputs, and columns with names make no list")
    return Grouped(source, feeding["group"])


def _program_source(feeding: dict[str, Any]) -> items.Source:
    if not feeding["sources"]:
        if not feeding["files"] and sys.stdin and sys.stdin.isatty():
            raise click.UsageError("no inputs: give them after :::, with --from FILE, or in a pipe")
        return _files(feeding["files"] or ("-",), feeding)
    # The separator splits arguments too.
    _refuse_options_of_files({**feeding, "separator": None})
    groups: list[list[items.Source]] = []
    for mark, words in feeding["sources"]:
        _add(groups, mark, _file_sources(words, feeding) if _is_of_files(mark) else [items.arguments(words)])
    return groups[0][0] if len(groups) == len(groups[0]) == 1 else Combined(groups)


def _task_source(feeding: dict[str, Any], schema: Schema, fixed: dict[str, Any]) -> items.Source:
    words, sources = feeding["items"], feeding["sources"]
    if sources and feeding["separator"]:
        raise click.UsageError("--separator goes with --from FILE, or with a program")
    if feeding["files"]:
        return _files(feeding["files"], feeding, schema.open_parameters(fixed))
    _refuse_options_of_files(feeding)
    if sources:
        return _parameter_sources(sources, feeding, schema, fixed)
    if not words and schema.open_parameters(fixed):
        if not feeding["allow_empty"]:
            raise click.UsageError(_NO_ITEMS)
        return items.arguments(())
    # A task whose every parameter has a default, or is set, runs once.
    return items.arguments(words or ["{}"])


def _parameter_sources(
    sources: tuple[SourceWords, ...], feeding: dict[str, Any], schema: Schema, fixed: dict[str, Any]
) -> items.Source:
    parameters = Parameters(schema, fixed)
    groups: list[list[items.Source]] = []
    for mark, words in sources:
        if _is_of_files(mark):
            files = _file_sources(words, feeding)
            for _ in files:
                parameters.next()
            _add(groups, mark, files)
        else:
            _add(groups, mark, [parameters.values_of(words)])
    return task_source(groups, parameters.names, schema.open_parameter(fixed))


def _refuse_options_of_files(feeding: dict[str, Any]) -> None:
    """Refuse them where all items are arguments."""
    if any(_is_of_files(mark) for mark, _ in feeding["sources"]):
        return
    for name, option in _OF_FILES.items():
        if feeding[name]:
            raise click.UsageError(f"{option} goes with --from FILE: arguments are taken as they are")


def _is_of_files(mark: str) -> bool:
    return mark.startswith("::::")


def _add(groups: list[list[items.Source]], mark: str, sources: list[items.Source]) -> None:
    """Add sources: linked to the last ones, or each by itself."""
    if mark.endswith("+") and groups:
        groups[-1] += sources
    else:
        groups += [[source] for source in sources]


def _files(paths: tuple[str, ...], feeding: dict[str, Any], columns: list[str] | None = None) -> items.Source:
    """The items of `--from`; `columns` are the names of the columns of lines that no option names."""
    reading = _reading(feeding)
    if columns and reading.separator and not reading.columns and reading.format_of(paths[0]) == "lines":
        reading = _reading(feeding, columns)
    if paths.count("-") > 1:
        raise click.UsageError("standard input can be read once: give --from - once")
    return items.from_paths(paths, reading)


def _file_sources(paths: tuple[str, ...], feeding: dict[str, Any]) -> list[items.Source]:
    if not paths:
        raise click.UsageError(":::: is followed by names of files")
    if feeding["columns"] or feeding["input_format"]:
        raise click.UsageError("--columns and --input-format go with --from: the files of :::: are lines")
    reading = replace(_reading(feeding), form="lines", separator="")
    return [items.from_paths([path], reading) for path in paths]


def _reading(feeding: dict[str, Any], columns: list[str] | None = None) -> items.Reading:
    return items.Reading(
        feeding["input_format"],
        feeding["encoding"],
        feeding["nul"],
        any_bytes=feeding["program"] is not None,
        separator=feeding["separator"] or "",
        columns=columns or feeding["columns"] or (),
    )
