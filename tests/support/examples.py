"""What stands in the documentation: its marked regions, its code blocks, and the `gristmill` calls in them."""

import re
import shlex
from collections.abc import Iterator
from pathlib import Path

PROJECT = Path(__file__).resolve().parents[2]
DOCS = PROJECT / "docs"
#: The contract: it also names what is settled and not built yet.
DESIGN = DOCS / "design.md"
#: Every page that a reader follows.
PAGES = [PROJECT / "README.md", *sorted(set(DOCS.glob("*.md")) - {DESIGN})]


def title(page: Path) -> str:
    """The page's path in the project: two pages are called README.md."""
    return page.relative_to(PROJECT).as_posix()


_ASSIGNMENT = re.compile(r"\w+=")
#: Our command, by its name or by its path in an environment.
_COMMAND = re.compile(r"(?:\S*/bin/)?gristmill")


def region(page: Path, name: str) -> str:
    """The text between `<!-- name -->` and the comment that ends it."""
    end = name.partition(" ")[0]
    regions = re.findall(rf"<!-- {name} -->\n(.*?)<!-- /{end} -->", page.read_text(), re.DOTALL)
    assert len(regions) == 1, f"{page.name} has {len(regions)} regions {name!r}"
    return regions[0].strip()


def section(page: Path, heading: str) -> str:
    """The text from a heading of the second level to the next one."""
    sections = re.findall(rf"^## {re.escape(heading)}\n(.*?)(?=^## |\Z)", page.read_text(), re.DOTALL | re.MULTILINE)
    assert len(sections) == 1, f"{page.name} has {len(sections)} sections {heading!r}"
    return sections[0]


def blocks(text: str, *languages: str) -> list[tuple[str, str]]:
    """The fenced code blocks in those languages: language and text."""
    blocks = re.findall(r"^```(\w+)\n(.*?)^```$", text, re.DOTALL | re.MULTILINE)
    return [(language, code) for language, code in blocks if language in languages]


def calls(line: str) -> list[list[str]]:
    """The arguments of each `gristmill` that a line of shell calls; a `<(…)` in them is a path."""
    words = shlex.shlex(line, posix=True, punctuation_chars="();<>|&")
    words.whitespace_split = True
    calls: list[list[str]] = []
    _collect(iter(words), calls)
    return calls


def _collect(words: Iterator[str], calls: list[list[str]]) -> None:
    call: list[str] | None = None
    beginning = True
    for word in words:
        if word == ")":
            return
        if word == "<(":
            _collect(words, calls)
            if call is not None:
                call.append("/dev/fd/63")
            continue
        if set(word) <= {"<", ">"}:
            next(words)
        elif set(word) <= set("();|&"):
            call, beginning = None, True
        elif beginning and not _ASSIGNMENT.match(word):
            call, beginning = [] if _COMMAND.fullmatch(word) else None, False
            if call is not None:
                calls.append(call)
        elif call is not None:
            call.append(word)


def shell_lines(text: str) -> list[str]:
    """The lines of the shell blocks, and what is between backquotes in the prose, as far as they call us."""
    code = [line for _, block in blocks(text, "sh") for line in block.splitlines()]
    prose = re.sub(r"^```.*?^```$", "", text, flags=re.DOTALL | re.MULTILINE)
    lines = code + re.findall(r"`([^`\n]+)`", prose)
    call = re.compile(rf"(?<![\w./-]){_COMMAND.pattern} ")
    return [line for line in lines if call.search(line) and "…" not in line]
