"""Finds the outcomes of a batch of which no event tells; memory grows with the outcomes that are not consumed."""

from collections.abc import Iterator
from typing import Any, cast

from redis import Redis

from gristmill.batches.chunk import attempts_of
from gristmill.batches.outcomes import event_ranges
from gristmill.server.replies import stream_entries

#: Items of one page of memory, and the events to read at once.
_PAGE, _EVENTS = 8000, 1000
#: The bits of each byte, as bytes of 0 and 1.
_BITS = [bytes(byte >> place & 1 for place in range(7, -1, -1)) for byte in range(256)]

#: By number of the page, a byte for each of its items.
Pages = dict[int, bytearray]


def untold(client: Redis, key: str) -> list[tuple[int, int]]:
    """The items whose outcome no event tells of, by index, each with the attempt of its outcome.

    `key` is what the names of the batch's keys begin with. The outcomes are read first: each has its event by then.
    """
    expected = _attempts(client, key)
    latest = _last_events(client, key, expected)
    return [
        (number * _PAGE + place, attempt)
        for number, page in expected.items()
        if latest[number] != page
        for place, attempt in enumerate(page)
        if attempt > latest[number][place]
    ]


def ranges(items: list[tuple[int, int]]) -> Iterator[str]:
    """Neighbours of one attempt as one range of an event."""
    first: int | None = None
    for place, (index, attempt) in enumerate(items):
        first = index if first is None else first
        if items[place + 1 : place + 2] != [(index + 1, attempt)]:
            yield f"{first}-{index}" + (f"@{attempt}" if attempt > 1 else "")
            first = None


def _attempts(client: Redis, key: str) -> Pages:
    """Of each item the attempt that its outcome is of; 0 where there is none to tell of.

    In this order, no answer promises more than there is when the events are read.
    """
    with client.pipeline(transaction=False) as pipe:
        pipe.hgetall(f"{key}attempts")
        for part in ("failed", "done", "cancelled", "consumed"):
            # Bytes, though the client decodes text: a bitmap is none.
            cast(Any, pipe).execute_command("GET", f"{key}{part}", NEVER_DECODE=True)
        failures, *bitmaps = pipe.execute()
    failed, done, cancelled, consumed = (bitmap or b"" for bitmap in bitmaps)
    pages = _paged(_without(done, cancelled, consumed))
    for text, attempts in failures.items():
        number, place = divmod(int(text), _PAGE)
        if (page := pages.get(number)) and page[place]:
            page[place] = min(255, attempts_of(attempts)[0] + (not _bit(failed, int(text))))
    return pages


def _without(bitmap: bytes, *others: bytes) -> bytes:
    """The bits of a bitmap that none of the others has."""
    size = len(bitmap)
    bits = int.from_bytes(bitmap, "big")
    for other in others:
        bits &= ~int.from_bytes(other[:size].ljust(size, b"\0"), "big")
    return bits.to_bytes(size, "big")


def _paged(bitmap: bytes) -> Pages:
    """The pages that have a bit."""
    step = _PAGE // 8
    parts = {start // step: bitmap[start : start + step] for start in range(0, len(bitmap), step)}
    return {
        number: bytearray(b"".join(map(_BITS.__getitem__, part.ljust(step, b"\0"))))
        for number, part in parts.items()
        if any(part)
    }


def _bit(bitmap: bytes, index: int) -> bool:
    return index // 8 < len(bitmap) and bool(bitmap[index // 8] >> (7 - index % 8) & 1)


def _last_events(client: Redis, key: str, expected: Pages) -> Pages:
    """Of each item of these pages the attempt of its last event."""
    pages = {number: bytearray(_PAGE) for number in expected}
    for _, fields in stream_entries(client, f"{key}events", _EVENTS):
        for first, last, attempt in event_ranges(fields["ranges"]):
            # The events of one item come in the order of its attempts.
            _mark(pages, first, last, min(255, attempt))
    return pages


def _mark(pages: Pages, first: int, last: int, mark: int) -> None:
    for number in range(first // _PAGE, last // _PAGE + 1):
        if page := pages.get(number):
            begin, end = max(0, first - number * _PAGE), min(_PAGE, last + 1 - number * _PAGE)
            page[begin:end] = bytes([mark]) * (end - begin)
