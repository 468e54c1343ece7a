"""What runs a command for each item, and the task as commands submit it: without Celery, which takes long to load."""

from functools import cache
from importlib import import_module
from typing import Any

from gristmill.config.names import PROGRAM
from gristmill.config.resources import Resources
from gristmill.tasks.fingerprint import fingerprint, modules_of
from gristmill.tasks.item import item
from gristmill.tasks.kind import Kind
from gristmill.tasks.program.command import CommandLine
from gristmill.tasks.program.template import Template
from gristmill.tasks.remote import RemoteTask
from gristmill.tasks.schema import Schema


@cache
def _worker() -> Any:
    """What runs programs: a part of the worker, which is above this room."""
    return import_module("gristmill.worker.programs.run")


def program(input: Any, command: CommandLine) -> dict[str, Any]:  # noqa: A002 (the contract's word)
    """Run a command, with the input in its template, and return how it ended and what it wrote to stdout."""
    words = Template.parse(command.words, shell=command.shell).fill(input, index=item.index, slot=item.slot)
    outcome: dict[str, Any] = _worker().run(words, command, input)
    return outcome


def program_task() -> RemoteTask:
    """The task that runs programs, to be submitted: only those workers know it that may run them."""
    modules, kind = modules_of(program), Kind.CPU
    return RemoteTask(PROGRAM, kind, Schema.of(program), 0, fingerprint(modules), modules, str(kind), Resources())
