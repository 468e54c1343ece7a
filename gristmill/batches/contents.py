"""What the server says of a chunk that a slot is to run, its items and how they run: the other end of contents.lua."""

from dataclasses import replace
from json import loads
from typing import Any

from gristmill.batches.chunk import Chunk, Item, Work
from gristmill.batches.stored_items import MISSING, values_of
from gristmill.errors import ServerError
from gristmill.server.replies import by_name


def work_of(chunk: Chunk, contents: dict[str, Any]) -> Work:
    """The work of a chunk: those of its items that have no outcome.

    Raises:
        ServerError: the server lacks some of the items.
    """
    done, attempts = contents["done"], contents["attempts"]
    values = values_of(
        chunk.first, len(done), contents["blocks"], contents["retained"], references=bool(contents["from_batch"])
    )
    items = [
        Item.of(chunk.first + i, value, attempts[i]) if attempts else Item(chunk.first + i, value, 1)
        for i, value in enumerate(values)
        if done[i] == "0"
    ]
    if any(item.value is MISSING for item in items):
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
