"""`program`: runs a command for each item."""

import os
import subprocess
from typing import Any

from gristmill.tasks.item import item
from gristmill.tasks.kinds import cpu
from gristmill.tasks.program.command import CommandLine
from gristmill.tasks.program.template import Template


@cpu
def program(input: Any, command: CommandLine) -> int:  # noqa: A002 (the contract's word)
    """Run a command, with the input in its template, and return its exit code."""
    words = Template.parse(command.words, shell=command.shell).fill(input, index=item.index, slot=item.slot)
    environment = {**os.environ, **command.env}
    return subprocess.run(words, check=False, cwd=command.workdir or None, env=environment).returncode
