"""The values of a source on the command line: words, and of one parameter of a task also `lr=0.1,0.01`, `1..8`."""

import re
from collections.abc import Iterable, Iterator, Sequence

from gristmill.errors import InputError, invalid_value
from gristmill.producer.items.lines import Raw
from gristmill.producer.items.source import Source

_RANGE = re.compile(r"([+-]?\d{1,18})\.\.([+-]?\d{1,18})")


class ParameterValues(Source):
    """Words as they are, an empty one too. A range, where `ranges` says that it is none of the values, needs no memory.

    Raises:
        InputError: a range ends before it begins.
    """

    name, regular, text = "arguments", True, True

    def __init__(self, words: Sequence[str], *, ranges: bool) -> None:
        self._values = [_range(word) if ranges else (word,) for word in words]

    def open(self) -> Iterator[Raw]:
        """Yield every value."""
        number = 0
        for values in self._values:
            for value in values:
                number += 1
                yield Raw(number, str(value))

    def place(self, number: int) -> str:
        """`argument 3`."""
        return f"argument {number}"


def _range(word: str) -> Iterable[object]:
    """The values of a range; a word that is none stands for itself."""
    match = _RANGE.fullmatch(word)
    if not match:
        return (word,)
    first, last = int(match[1]), int(match[2])
    if first > last:
        raise InputError(invalid_value("range", word, "FIRST..LAST, such as 1..8, with FIRST no larger than LAST"))
    return range(first, last + 1)
