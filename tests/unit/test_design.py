"""docs/design.md is true: each name of the contract is there, and each that it marks with † is not."""

import importlib
import inspect
import re
from collections.abc import Callable
from typing import Any

import click
import pytest

import gristmill
from gristmill.cli import COMMANDS, cli
from tests.support.examples import DESIGN, PROJECT, blocks

CONTRACT = DESIGN.read_text().partition("\n## The contract")[2].partition("\n## Settings")[0]
OPTION = re.compile(r"(?<![\w-])--?[a-z0-9][a-z-]*")


def test_the_layout_has_every_room():
    layout = DESIGN.read_text().partition("\n## Layout\n")[2].partition("\n## ")[0]
    places = {place.rstrip("/") for place in re.findall(r"^\| `([^`]+)` \|", layout, re.MULTILINE)}
    assert [place for place in places if not (PROJECT / place).exists()] == []
    rooms = {path.parent.relative_to(PROJECT).as_posix() for path in PROJECT.glob("gristmill/*/__init__.py")}
    real = {room.removeprefix("gristmill/") if (PROJECT / room).is_symlink() else room for room in rooms}
    assert sorted(real - places) == []


def part(heading: str) -> str:
    """The contract's text below a heading of the third level."""
    return re.split(r"^### ", CONTRACT.partition(f"\n### {heading}\n")[2], maxsplit=1, flags=re.MULTILINE)[0]


def split(text: str) -> tuple[str, str]:
    """A text's part that is built, and its part that is settled only: behind a †, to the end of its bracket."""
    later = " ".join(re.findall(r"\(†[^)]*\)", text))
    built, _, rest = re.sub(r"\(†[^)]*\)", "", text).partition("†")
    return built, f"{later} {rest}"


def rows(first: str) -> list[list[str]]:
    """The cells of the table of commands whose header begins with that word."""
    tables = [table.splitlines() for table in part("Commands").split("\n\n") if table.startswith("|")]
    table = next(table for table in tables if table[0].startswith(f"| {first} "))
    return [[cell.strip() for cell in re.split(r"(?<!\\)\|", line)[1:-1]] for line in table[2:]]


def topics() -> tuple[str, str]:
    """What the table of topics has that is built, and what is settled only."""
    built, later = "", ""
    for topic, cell in rows("topic"):
        # What it says of an option that is refused names others.
        kept = re.sub(r"`--timeout` is refused.*", "", cell)
        parts = ("", kept) if "†" in topic else split(kept)
        built, later = f"{built} {parts[0]}", f"{later} {parts[1]}"
    return built, later


def options(command: click.Command = cli) -> set[str]:
    """Every option of a command and of those in it."""
    names = {name for parameter in command.params for name in (*parameter.opts, *parameter.secondary_opts)}
    if isinstance(command, click.Group):
        context = click.Context(command)
        for name in command.list_commands(context):
            found = command.get_command(context, name)
            assert found
            names |= options(found)
    return names


def test_the_commands_are_those_of_the_contract():
    words = re.findall(r"`([a-z]+)", " ".join(cell for cell, _ in rows("command")))
    assert sorted({*words}) == sorted(COMMANDS)


def test_options_are_there_but_those_that_are_settled_only():
    topic, later = topics()
    built = {
        *OPTION.findall(topic),
        *OPTION.findall(" ".join(split(cell)[0] for row in rows("command") for cell in row)),
    }
    settled = {*OPTION.findall(later)} - built
    assert len(built) > 20
    assert sorted(built - options()) == []
    assert sorted(settled & options()) == []


def test_the_states_are_those_of_the_contract():
    built, later = split(part("States").partition(". A batch")[0])
    assert set(re.findall(r"`(\w+)`", built)) == {str(state) for state in gristmill.State}
    assert not set(re.findall(r"`(\w+)`", later)) & {str(state) for state in gristmill.State}


def test_public_names_are_there():
    for line in blocks(part("Python"), "python")[0][1].splitlines():
        module, names = re.fullmatch(r"from (\S+) import (.+)", line).groups()
        for name in names.split(", "):
            assert hasattr(importlib.import_module(module), name), line


def words(text: str) -> set[str]:
    """The names between backquotes: arguments, or methods without their brackets."""
    return {word for code in re.findall(r"`([^`]+)`", text) for word in re.findall(r"[a-z_]+", code)}


@pytest.mark.parametrize(
    ("start", "names"),
    [
        ("`@cpu / @io(", lambda: {*inspect.signature(gristmill.cpu).parameters}),
        ("`submit(", lambda: {*inspect.signature(gristmill.submit).parameters}),
        ("`Batch[R]`", lambda: {*dir(gristmill.Batch)}),
    ],
)
def test_arguments_and_methods_are_there_but_those_that_are_settled_only(start: str, names: Callable[[], set[Any]]):
    line = next(line for line in part("Python").splitlines() if line.startswith(f"- {start}"))
    built, later = split(line.partition(". `@io async")[0].partition("; iterating")[0].partition(". †")[0])
    methods = re.findall(r"(\w+)\(", built) if start == "`Batch[R]`" else []
    settled = {*methods} or words(built.replace(start, "`").partition(" ->")[0] + "`")
    assert settled
    assert sorted(settled - names()) == []
    assert sorted(words(later) & names() - {"items"}) == []
