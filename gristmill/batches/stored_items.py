"""Items in the form that the server stores them: blocks of lines, and single items that outlived their block."""

from collections.abc import Iterable, Sequence
from json import loads
from typing import Any

from gristmill.batches.value_file import ValueFile

#: In place of an item that a reader consumed.
MISSING = object()


def values_of(
    first: int,
    count: int,
    blocks: Iterable[tuple[str, str]],
    retained: Sequence[str | None],
    *,
    references: bool = False,
) -> list[Any]:
    """The items from index `first` on, by place; MISSING where a reader consumed the item.

    With `references`, the value of an item may be in a file of another batch: a line that begins with a blank refers to
    it (sources.lua), and the item is a ValueFile.
    """
    end, values = first + count, [MISSING] * count
    for identity, text in blocks:
        start = int(identity)
        begin = max(start, first)
        lines = text.split("\n")[begin - start : max(0, end - start)]
        items = loads(f"[{','.join(lines)}]")
        if references:
            items = [ValueFile.of(item) if line[0] == " " else item for line, item in zip(lines, items, strict=True)]
        values[begin - first : begin - first + len(items)] = items
    for i, item in enumerate(retained):
        if item is not None:
            values[i] = ValueFile.of(loads(item)) if references and item[0] == " " else loads(item)
    return values
