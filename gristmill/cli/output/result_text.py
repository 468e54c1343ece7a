"""A result as one short line for people: index, input, value or error, seconds."""

import json
import sys
from collections.abc import Callable
from typing import Any

from rich.cells import cell_len, set_cell_size

from gristmill.batches.result import Result
from gristmill.cli.console import ascii_only, on_terminal
from gristmill.config.figures import printable, size

#: Characters of the index, of the seconds, and between two columns; the fewest of the input and of the value.
_INDEX, _SECONDS, _GAP, _LEAST = 6, 9, 2, 8
#: The input's share of the other characters, and its most characters.
_SHARE, _MOST = 0.4, 40
_RED, _RESET = "\x1b[31m", "\x1b[0m"


def line_of(*, terminal: bool) -> Callable[[Result], str]:
    """What makes the line of a result: cut to the width of a `terminal` that stdout is, else whole, with tabs."""
    if not is_cut(terminal=terminal):
        return lambda result: "\t".join(_columns(result))
    # Imported here, because it takes long to load.
    from gristmill.cli.terminal import stdout

    colour = stdout.color_system is not None and not stdout.no_color
    return lambda result: _cut(result, stdout.width, colour=colour)


def is_cut(*, terminal: bool) -> bool:
    """Whether lines are cut to the width of a `terminal` that stdout is."""
    return terminal and on_terminal(sys.stdout)


def _columns(result: Result) -> tuple[str, str, str, str]:
    seconds = "" if result.worker is None else f"{result.seconds:.2f} s"
    return str(result.index), _text(result.input), _outcome(result), seconds


def _outcome(result: Result) -> str:
    """The value of an item that succeeded, else its state and its error."""
    if result.file and result.value is None:
        return f"({size(result.file.bytes)} in a file)"
    if result.state == "succeeded":
        return _text(result.value)
    error = result.error and f": {result.error['type']}: {result.error['message']}"
    return printable(f"{result.state}{error or ''}")


def _text(value: Any) -> str:
    return printable(value if isinstance(value, str) else json.dumps(value, ensure_ascii=False))


def _cut(result: Result, width: int, *, colour: bool) -> str:
    index, item, outcome, seconds = _columns(result)
    room = max(2 * _LEAST, width - _INDEX - _SECONDS - 3 * _GAP)
    # Inputs that are short leave their room to the values; each line is cut alone, for results come one by one.
    first = min(_MOST, max(_LEAST, int(room * _SHARE)))
    ending = _fit(outcome, room - first)
    if colour and result.state != "succeeded":
        ending = f"{_RED}{ending}{_RESET}"
    gap = " " * _GAP
    return f"{index:>{_INDEX}}{gap}{_fit(item, first)}{gap}{ending}{gap}{seconds:>{_SECONDS}}"


def _fit(text: str, width: int) -> str:
    """The text in exactly `width` cells of a terminal: with blanks behind it, or cut off with an ellipsis."""
    # Long enough to tell that it is too long: a value may be a megabyte.
    text = text[: 4 * width]
    if cell_len(text) <= width:
        return set_cell_size(text, width)
    return set_cell_size(text, width - 1) + ("." if ascii_only() else "…")
