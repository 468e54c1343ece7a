"""`program`: runs a command for each item."""

from functools import cache
from importlib import import_module
from typing import Any

from gristmill.tasks.item import item
from gristmill.tasks.kinds import cpu
from gristmill.tasks.program.command import CommandLine
from gristmill.tasks.program.template import Template


@cache
def _worker() -> Any:
    """What runs programs: a part of the worker, which is above this room."""
    return import_module("gristmill.worker.programs.run")


@cpu
def program(input: Any, command: CommandLine) -> dict[str, Any]:  # noqa: A002 (the contract's word)
    """Run a command, with the input in its template, and return how it ended and what it wrote to stdout."""
    words = Template.parse(command.words, shell=command.shell).fill(input, index=item.index, slot=item.slot)
    outcome: dict[str, Any] = _worker().run(words, command, input)
    return outcome
