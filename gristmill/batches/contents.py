"""What the server says of a chunk that a slot is to run, its items and how they run: the other end of contents.lua."""

from collections.abc import Iterable, Sequence
from dataclasses import replace
from functools import partial
from itertools import count, repeat
from json import loads
from operator import is_
from typing import Any

from gristmill.batches.chunk import Chunk, Item, Work
from gristmill.batches.value_file import ValueFile
from gristmill.errors import ServerError
from gristmill.server.replies import by_name

#: In place of an item that a reader consumed.
_MISSING = object()
_is_missing = partial(is_, _MISSING)


def work_of(chunk: Chunk, contents: dict[str, Any]) -> Work:
    """The work of a chunk: those of its items that have no outcome.

    Raises:
        ServerError: the server lacks some of the items.
    """
    done, attempts = contents["done"], contents["attempts"]
    values = _values_of(
        chunk.first, len(done), contents["blocks"], contents["retained"], references=bool(contents["from_batch"])
    )
    if attempts or "1" in done:
        items = [
            Item.of(chunk.first + i, value, attempts[i] if attempts else None)
            for i, value in enumerate(values)
            if done[i] == "0"
        ]
    else:
        # The usual case, in which every item passes here.
        items = list(map(Item, count(chunk.first), values, repeat(1)))
    if any(map(_is_missing, values)) and any(_is_missing(item.value) for item in items):
        raise ServerError(f"batch {chunk.batch!r}: the server lacks some of the items {chunk.member}")
    return Work(
        chunk=chunk,
        task=contents["task"],
        fixed=loads(contents["fixed"]),
        parameter=contents["parameter"],
        retries=int(contents["retries"]),
        retry_seconds=float(contents["retry_seconds"]),
        items=items,
        rest=chunk.count - len(done),
        keep_logs=contents["keep_logs"] or "failed",
        memory=int(contents["memory"] or 0),
        time_limit=None if contents["time_limit"] is None else float(contents["time_limit"]),
        output_dir=contents["output_dir"] or "",
        halt=contents["halt"] or "",
        from_batch=bool(contents["from_batch"]),
        limit_by=contents["limit_by"] or "",
    )


def following_work(before: Chunk, answer: dict[str, Any]) -> Work:
    """The work of the chunk that a slot is to run next, of the batch of `before`.

    Raises:
        ServerError: the server lacks some of the items.
    """
    chunk = replace(before, first=int(answer["first"]), count=int(answer["count"]))
    return work_of(chunk, by_name(answer["contents"]))


def _values_of(
    first: int, count: int, blocks: Iterable[tuple[str, str]], retained: Sequence[str | None], *, references: bool
) -> list[Any]:
    """The items from index `first` on, by place; _MISSING where a reader consumed the item.

    With `references`, the value of an item may be in a file of another batch: a line that begins with a blank refers to
    it (sources.lua), and the item is a ValueFile.
    """
    end, values = first + count, [_MISSING] * count
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
