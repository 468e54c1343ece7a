"""The rows of `compare` for a terminal: a table of each work, with a bar in each line."""

from collections.abc import Sequence

from rich.console import Console
from rich.text import Text

from gristmill.cli.terminal import table_of
from gristmill.demo.row import Row

_COLUMNS = ["way", "seconds", "speed-up", "CPU seconds", "cores busy"]
#: Characters of the longest bar where there is no terminal, and of one that is still worth drawing.
_PIPED, _LEAST = 40, 8
#: Spaces between two columns.
_GAP = 2
_EIGHTHS = " ▏▎▍▌▋▊▉█"


def show(rows: Sequence[Row], console: Console) -> None:
    """Print the rows of one work; the bars of seconds fill the width of the terminal."""
    title = encodable(rows[0].work.title, console)
    lines = [[encodable(text, console) for text in _cells(row)] for row in rows]
    right = "seconds speed-up CPU_seconds cores_busy"
    view = table_of(_COLUMNS, lines, title=title, right=right)
    room = console.width - console.measure(view).maximum - _GAP if console.is_terminal else _PIPED
    if room >= _LEAST:
        longest, plain = max(row.measurement.seconds for row in rows), console.options.ascii_only
        bars = [bar(row.measurement.seconds / longest, room, plain=plain) for row in rows]
        lines = [[*line, bar_text] for line, bar_text in zip(lines, bars, strict=True)]
        view = table_of([*_COLUMNS, ""], lines, title=title, right=right)
    console.print(view)


def say(text: str, console: Console) -> None:
    """Print a sentence below the tables, as wide as the terminal."""
    console.print(Text(encodable(text, console)))


def bar(share: float, width: int, *, plain: bool) -> str:
    """A bar that fills `share` (0 to 1) of `width` characters, at least one mark of them; `plain` is in ASCII."""
    if plain:
        return "#" * max(1, round(share * width))
    whole, rest = divmod(max(1, round(share * width * 8)), 8)
    return _EIGHTHS[8] * whole + _EIGHTHS[rest].strip()


def encodable(text: str, console: Console) -> str:
    """The text, in ASCII where the output is not UTF-8."""
    return text.replace("×", "x") if console.options.ascii_only else text


def _cells(row: Row) -> list[str]:
    figures = (
        f"{row.measurement.seconds:.2f}",
        f"{row.speedup:.2f}×",
        f"{row.measurement.cpu_seconds:.2f}",
        f"{row.cores:.2f}",
    )
    return [row.way.label, *figures]
