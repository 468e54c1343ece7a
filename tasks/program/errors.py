"""How a program's item fails; each error carries the outcome of the program."""

import shlex
from collections.abc import Sequence
from typing import Any

from gristmill.config.figures import printable

#: The longest command line that an error shows.
_LINE_CHARACTERS = 500


class ProgramFailed(Exception):
    """Raised when a program ended with a code that is no success, by a signal, or could not be started."""

    def __init__(self, text: str, outcome: dict[str, Any]) -> None:
        super().__init__(text)
        self.outcome = outcome


class OutputTooLarge(ValueError):
    """Raised when a program wrote more to stdout than the server keeps of an item."""

    def __init__(self, words: Sequence[str], outcome: dict[str, Any]) -> None:
        super().__init__(
            f"{command_line(words)} wrote over 1 MiB to stdout, more than the server keeps: --output-dir DIR writes it "
            "to a file as it comes"
        )
        self.outcome = outcome


class ProgramsOff(PermissionError):
    """Raised when an item asks a worker to run a program that runs none."""

    def __init__(self) -> None:
        super().__init__("this worker runs no programs: GRISTMILL_COMMANDS=any on the worker would allow them")


def failure(words: Sequence[str], code: int | None, signal: str | None) -> str:
    """How a program failed, in a line."""
    return f"{f'exit code {code}' if signal is None else signal}: {command_line(words)}"


def command_line(words: Sequence[str]) -> str:
    """The words as one would type them, on one line, cut to 500 characters."""
    line = printable(shlex.join(words))
    return line if len(line) <= _LINE_CHARACTERS else f"{line[:_LINE_CHARACTERS]}…"
