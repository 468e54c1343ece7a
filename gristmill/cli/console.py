"""Prints for commands: results on stdout, everything else on stderr; tables or JSON."""

import json
import os
import sys
from collections.abc import Iterable, Iterator, Sequence
from itertools import islice
from typing import Any, TextIO, TypeVar

from rich.cells import cell_len

from gristmill.config.figures import printable

T = TypeVar("T")
#: A value as JSON: `json.dumps` would make an encoder for each line.
_json = json.JSONEncoder(ensure_ascii=False, separators=(",", ":")).encode
#: Rows whose widths a table fits to, where it is printed while more are read.
_PAGE = 500
#: Variables by which rich takes a pipe for a terminal.
_TERMINAL_VARIABLES = {"FORCE_COLOR", "TTY_COMPATIBLE"}


class Quiet:
    """Whether commands print no notes (`--quiet`); they always print warnings and errors."""

    on = False


def on_terminal(stream: TextIO | None) -> bool:
    """Whether stdout or stderr is a terminal; None is a stream that the caller has closed."""
    if stream is None or not (stream.isatty() or _TERMINAL_VARIABLES & os.environ.keys()):
        return False
    # Imported here and below, because loading rich takes long, and few commands print more than lines into a pipe.
    from gristmill.cli import terminal

    return (terminal.stdout if stream is sys.stdout else terminal.stderr).is_terminal


def ascii_only() -> bool:
    """Whether stdout takes no characters beyond ASCII, or only those of one script."""
    return not (sys.stdout.encoding or "utf-8").lower().startswith("utf")


def say(text: str, style: str = "") -> None:
    """Print a line on stderr, in a style of rich if that is a terminal."""
    if on_terminal(sys.stderr):
        from gristmill.cli import terminal

        terminal.stderr.print(text, markup=False, style=style)
    elif sys.stderr:
        try:
            sys.stderr.write(text + "\n")
            sys.stderr.flush()
        except BrokenPipeError:
            from gristmill.cli import terminal

            terminal.stderr.on_broken_pipe()


def note(text: str) -> None:
    """Print a note on stderr, unless `--quiet`."""
    if not Quiet.on:
        say(text)


def warn(text: str) -> None:
    """Print a warning on stderr."""
    say(f"gristmill: warning: {text}", "yellow")


def write(line: str) -> None:
    """Write one line to stdout."""
    sys.stdout.write(line + "\n")


def as_they_come(things: Iterable[T]) -> Iterator[T]:
    """Yield each thing, and then hand over what was printed of it: the next one may take its time.

    A file or a pipe would get it in blocks of some KiB.
    """
    for thing in things:
        yield thing
        sys.stdout.flush()


def print_json(value: Any) -> None:
    """Print a value as one line of JSON on stdout, with control characters escaped."""
    line = _json(value)
    is_printable = line.isprintable() and (line.isascii() or not ascii_only())
    write(line if is_printable else json.dumps(value, separators=(",", ":")))


def table(
    columns: Sequence[str], rows: Iterable[Sequence[str]], *, right: str = "", fold: str = "", header: bool = True
) -> None:
    """Print a table on stdout; the columns named in `right` hold numbers, those in `fold` may take several lines."""
    if on_terminal(sys.stdout):
        from gristmill.cli import terminal

        terminal.stdout.print(terminal.table_of(columns, rows, right=right, fold=fold, header=header))
        return
    numbers = {index for index, name in enumerate(columns) if name.replace(" ", "_") in right.split()}
    for line in _plain([*([columns] if header else []), *rows], numbers):
        write(line)


def _plain(rows: Sequence[Sequence[str]], right: set[int]) -> Iterator[str]:
    """Rows for a file or a pipe: aligned columns, whole values, no blanks at the end of a line."""
    texts = [[printable(text) for text in row] for row in rows]
    lengths = [[len(text) if text.isascii() else cell_len(text) for text in row] for row in texts]
    widths = [max(column) for column in zip(*lengths, strict=True)]
    for row, cells_of_row in zip(texts, lengths, strict=True):
        blanks = [" " * (width - length) for width, length in zip(widths, cells_of_row, strict=True)]
        aligned = [b + text if n in right else text + b for n, (text, b) in enumerate(zip(row, blanks, strict=True))]
        yield "  ".join(aligned).rstrip()


def show(
    columns: Sequence[str],
    rows: list[dict[str, Any]],
    *,
    as_json: bool,
    right: str = "",
    fold: str = "",
    header: bool = True,
) -> None:
    """Print rows as a table of some of their fields, or with all fields as JSON lines."""
    if as_json:
        for row in rows:
            print_json(row)
    else:
        table(columns, [cells(columns, row) for row in rows], right=right, fold=fold, header=header)


def show_pages(columns: Sequence[str], rows: Iterable[dict[str, Any]], *, as_json: bool, right: str = "") -> bool:
    """As `show`, while rows are read: a table fits its widths to _PAGE of them. Return whether there are any."""
    rest, is_first = iter(rows), True
    while page := list(islice(rest, _PAGE)):
        show(columns, page, as_json=as_json, right=right, header=is_first)
        is_first = False
    return not is_first


def cells(columns: Sequence[str], row: dict[str, Any]) -> list[str]:
    """The fields of a row as a table shows them."""
    return [_text_of(row[column.replace(" ", "_")]) for column in columns]


def _text_of(value: Any) -> str:
    return "" if value is None else f"{value:,}" if isinstance(value, int) else str(value)
