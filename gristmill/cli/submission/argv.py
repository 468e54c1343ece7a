"""The words of `run` and `submit`, split before click sees them: options, a program's words, and sources of items."""

from collections.abc import Callable, Sequence
from itertools import pairwise
from typing import NamedTuple

from gristmill.config.names import PROGRAM

#: What begins a source: of arguments or of files (`::::`), combined with the ones before it or linked to the last (+).
MARKS = (":::", ":::+", "::::", "::::+")


class SourceWords(NamedTuple):
    """A source as it was given: `mark` is one of MARKS."""

    mark: str
    words: tuple[str, ...]


class Argv(NamedTuple):
    """The words of a command: those that click reads, a program's, and those of each source."""

    options: list[str]
    program: tuple[str, ...] | None
    sources: tuple[SourceWords, ...]


def split(args: Sequence[str], first_word: Callable[[list[str]], str | None]) -> Argv:
    """Split the words of a command that takes a task or a program.

    `--` before the first word begins a program; `first_word` finds the first of some words that is neither an option
    nor an option's value. The first of MARKS ends the words before it.
    """
    words = list(args)
    at = next((place for place, word in enumerate(words) if word in MARKS), len(words))
    before, sources = words[:at], _sources(words[at:])
    if "--" in before:
        place = before.index("--")
        if first_word(before[:place]) is None:
            return Argv([*before[:place], PROGRAM], tuple(before[place + 1 :]), sources)
    return Argv(before, None, sources)


def _sources(words: list[str]) -> tuple[SourceWords, ...]:
    starts = [place for place, word in enumerate(words) if word in MARKS]
    return tuple(
        SourceWords(words[start], tuple(words[start + 1 : end])) for start, end in pairwise([*starts, len(words)])
    )
