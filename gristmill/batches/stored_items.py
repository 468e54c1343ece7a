"""Items in the form that the server stores them: blocks of lines, and single items that outlived their block."""

from collections.abc import Iterable, Sequence
from json import loads
from typing import Any

#: In place of an item that a reader consumed.
MISSING = object()


def values_of(first: int, count: int, blocks: Iterable[tuple[str, str]], retained: Sequence[str | None]) -> list[Any]:
    """The items from index `first` on, by place; MISSING where a reader consumed the item."""
    end, values = first + count, [MISSING] * count
    for identity, text in blocks:
        start = int(identity)
        begin = max(start, first)
        lines = text.split("\n")[begin - start : max(0, end - start)]
        items = loads(f"[{','.join(lines)}]")
        values[begin - first : begin - first + len(items)] = items
    for i, item in enumerate(retained):
        if item is not None:
            values[i] = loads(item)
    return values
