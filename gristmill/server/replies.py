"""The forms in which a server gives and takes many values: fields by turns, and a stream page by page."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, cast

from redis import Redis


def by_name(flat: Sequence[Any]) -> dict[Any, Any]:
    """The values by name, of names and values by turns."""
    return dict(zip(flat[::2], flat[1::2], strict=True))


def by_turns(fields: Mapping[str, Any]) -> list[Any]:
    """Names and values by turns, as scripts take fields."""
    return [part for pair in fields.items() for part in pair]


def stream_entries(client: Redis, key: str, at_once: int) -> Iterator[tuple[str, dict[str, str]]]:
    """The entries of a stream, oldest first, each with its id. Reads `at_once` of them in a call, so memory stays flat.

    Raises:
        RedisError: the server cannot be reached or refuses.
    """
    start = "-"
    while page := cast(list[tuple[str, dict[str, str]]], client.xrange(key, min=start, count=at_once)):
        yield from page
        start = f"({page[-1][0]}"
