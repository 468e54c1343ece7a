"""Pages of the docs: what a command has measured goes between its markers."""

import os
import platform
import re
from datetime import UTC, datetime
from pathlib import Path

from gristmill.config.host import cores

_DOCS = Path(__file__).parents[1] / "docs"
PAGE, RELIABILITY = _DOCS / "benchmarks.md", _DOCS / "reliability.md"


def replaced(page: str, name: str, body: str, file: str = PAGE.name) -> str:
    """The page, which is the text of `file`, with `body` between `<!-- name -->` and `<!-- /name -->`.

    Raises:
        ValueError: the page has no such markers.
    """
    between = re.compile(rf"(<!-- {name} -->\n).*?(<!-- /{name} -->)", re.DOTALL)
    if not between.search(page):
        raise ValueError(f"{file} has no markers <!-- {name} --> and <!-- /{name} -->")
    return between.sub(lambda match: f"{match[1]}{body.strip()}\n{match[2]}", page)


def write(name: str, body: str, path: Path = PAGE) -> None:
    """Put `body` between the markers of that name.

    Raises:
        ValueError: the page has no such markers.
    """
    path.write_text(replaced(path.read_text(), name, body, path.name))


def machine() -> str:
    """Where and when, in a sentence."""
    load = os.getloadavg()[0]
    return (
        f"{datetime.now(UTC):%d %B %Y}, {cores()} cores ({platform.machine()}), "
        f"{platform.python_implementation()} {platform.python_version()}, load {load:.1f} at the end."
    )


def table(head: list[str], rows: list[list[str]]) -> str:
    """A table in Markdown."""
    lines = [head, ["---"] * len(head), *rows]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines) + "\n"
