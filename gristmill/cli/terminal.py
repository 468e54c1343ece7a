"""What commands show on a terminal, and as tables there: with rich, which they need not load to write to a pipe."""

from collections.abc import Iterable, Sequence

from rich.console import Console
from rich.table import Table
from rich.text import Text

from gristmill.config.figures import printable

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


def table_of(
    columns: Sequence[str],
    rows: Iterable[Sequence[str]],
    *,
    title: str | None = None,
    right: str = "",
    fold: str = "",
    header: bool = True,
) -> Table:
    """A table; the columns named in `right` hold numbers, those in `fold` may take several lines."""
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
