"""Prints for commands: results on stdout, everything else on stderr; tables or JSON."""

import json
import sys
from collections.abc import Iterable, Iterator, Sequence
from itertools import islice
from typing import Any, TypeVar

from rich.cells import cell_len
from rich.console import Console
from rich.table import Table
from rich.text import Text

from gristmill.config.figures import printable

T = TypeVar("T")
#: A value as JSON: `json.dumps` would make an encoder for each line.
_json = json.JSONEncoder(ensure_ascii=False, separators=(",", ":")).encode
#: Rows whose widths a table fits to, where it is printed while more are read.
_PAGE = 500
#: Columns of a chart that does not go to a terminal.
PIPED_WIDTH = 240


class _Stdout(Console):
    def on_broken_pipe(self) -> None:
        """Let `main` end the command: the reader closed the pipe, which is no failure."""
        raise BrokenPipeError


# What a person has named `:cat:` is no picture of a cat.
stderr = Console(stderr=True, highlight=False, soft_wrap=True, emoji=False)
stdout = _Stdout(highlight=False, emoji=False)
if not stdout.is_terminal:
    # A file or a pipe has no width.
    stdout = _Stdout(highlight=False, emoji=False, width=PIPED_WIDTH)


class Quiet:
    """Whether commands print no notes (`--quiet`); they always print warnings and errors."""

    on = False


def note(text: str) -> None:
    """Print a note on stderr, unless `--quiet`."""
    if not Quiet.on:
        stderr.print(text, markup=False)


def warn(text: str) -> None:
    """Print a warning on stderr."""
    stderr.print(f"gristmill: warning: {text}", markup=False, style="yellow")


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
    # What a terminal can show is asked only where that matters: it takes longer than a line of JSON.
    is_printable = line.isprintable() and (line.isascii() or not stdout.options.ascii_only)
    write(line if is_printable else json.dumps(value, separators=(",", ":")))


def table(
    columns: Sequence[str], rows: Iterable[Sequence[str]], *, right: str = "", fold: str = "", header: bool = True
) -> None:
    """Print a table on stdout; the columns named in `right` hold numbers, those in `fold` may take several lines."""
    if stdout.is_terminal:
        stdout.print(table_of(columns, rows, right=right, fold=fold, header=header))
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


def table_of(
    columns: Sequence[str],
    rows: Iterable[Sequence[str]],
    *,
    title: str | None = None,
    right: str = "",
    fold: str = "",
    header: bool = True,
) -> Table:
    """The table that `table` prints."""
    view = Table(title=title, title_justify="left", box=None, header_style="bold", pad_edge=False, show_header=header)
    numbers, folded = right.split(), fold.split()
    for column in columns:
        name = column.replace(" ", "_")
        view.add_column(
            column,
            justify="right" if name in numbers else "left",
            overflow="fold" if name in folded else "ellipsis",
            no_wrap=name not in folded,
        )
    for row in rows:
        # As Text: a "[" in it is no markup.
        view.add_row(*(Text(printable(text)) for text in row))
    return view


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
