"""Reads a batch's results with flat memory: in order, or as they complete."""

from bisect import bisect_left
from collections.abc import Iterator
from typing import Any, cast

from redis import Redis

from gristmill.batches.outcomes import BUCKET, field, span_of
from gristmill.batches.result import Result
from gristmill.config.settings import Settings

#: Bits that are read as one number.
WORD = 50
_EVENTS_AT_ONCE = 5
#: Bytes of outcomes to ask for at a time, and for how many fields of them while their size is not known.
_LOT_BYTES, _FIRST_LOT = 4 << 20, 20


class ResultReader:
    """Reads the results of one batch; keeps at most a few blocks of items in memory."""

    def __init__(self, client: Redis, settings: Settings, batch: str) -> None:
        self.client = client
        self._key = settings.key(f"batch:{batch}:")
        self._block: tuple[int, list[str]] = (0, [])
        #: Fields of outcomes to ask for at a time, by the size of the last ones: a value may have 1 MiB.
        self._lot = _FIRST_LOT

    def in_order(self, first: int, end: int) -> Iterator[Result]:
        """The results of the items `first` to `end - 1`, by index; items without an outcome are left out."""
        while first < end:
            stop = min(end, first - first % BUCKET + BUCKET)
            yield from self._read(first, stop)
            first = stop

    def cancelled(self, end: int) -> Iterator[Result]:
        """The results of the cancelled ones among the items 0 to `end - 1`, by index: they have no event."""
        return (result for result in self.in_order(0, end) if result.state == "cancelled")

    def prefix(self, first: int) -> int:
        """The end of the run of items from `first` on that have an outcome each."""
        # Bits before `first` were set already, so the search may begin at its byte.
        end = self.client.bitpos(f"{self._key}done", 0, first // 8)
        return max(first, end)

    def after(self, event: str, wait_ms: int) -> tuple[str, list[Result]]:
        """The results recorded after `event` (at first `0-0`), oldest first, and the event to go on from.

        An item that was given back by `retry` is left out where its newer outcome has an event of its own.
        Waits up to `wait_ms` for the first event; answers with at most a few thousand results at a time, and with
        none only when there are no more events.
        """
        found: list[Result] = []
        while not found and (events := self._events(event, wait_ms)):
            for identity, fields in events:
                event = identity
                for part in fields["ranges"].split(","):
                    found += self._of_event(part)
        return event, found

    def _events(self, event: str, wait_ms: int) -> list[tuple[str, dict[str, str]]]:
        block = wait_ms if wait_ms > 0 else None
        answer = cast(Any, self.client.xread({f"{self._key}events": event}, count=_EVENTS_AT_ONCE, block=block))
        if not answer:
            return []
        found = answer[f"{self._key}events"][0] if isinstance(answer, dict) else answer[0][1]
        return cast(list[tuple[str, dict[str, str]]], found)

    def _of_event(self, part: str) -> Iterator[Result]:
        """The results of a range of an event, `first-last` or `first-last@attempt`, that are still what it told of."""
        indexes, _, attempt = part.partition("@")
        first, _, last = indexes.partition("-")
        for result in self.in_order(int(first), int(last) + 1):
            # A cancelled item has no event; one with more attempts has a later one.
            if result.state != "cancelled" and result.attempts <= int(attempt or 1):
                yield result

    def _read(self, first: int, end: int, part: str = "done") -> Iterator[Result]:
        """The results of those of some items of one hash of outcomes whose bit is set in the bitmap `part`."""
        with self.client.pipeline() as pipe:
            # Who follows asks for what was recorded together: that is one field.
            pipe.hget(f"{self._key}out:{first // BUCKET}", field(first, end))
            for bitmap in (part, "cancelled", "consumed"):
                (word, at), *more = _words(first, end)
                pipe.bitfield_ro(f"{self._key}{bitmap}", word, at, more)
            together, *bitmaps = cast(tuple[str | None, list[int], list[int], list[int]], pipe.execute())
        wanted, cancelled, consumed = (list(_indexes(words, first, end)) for words in bitmaps)
        # An item that was cancelled, or is run again, may have the outcome of an earlier run.
        tried = dict(zip(cancelled, self._attempts(cancelled), strict=True))
        gone = set(consumed)
        outcomes = self._outcomes(first, wanted) if together is None else enumerate(together.split("\n"), first)
        here, outcome = next(outcomes, _NONE)
        for index in wanted:
            while here < index:
                here, outcome = next(outcomes, _NONE)
            # Between an outcome and its item, another reader may have consumed both.
            if index in gone or (index not in tried and here > index) or (item := self.item(index)) is None:
                continue
            if index in tried:
                yield Result.of_cancelled(index, item, tried[index])
            else:
                yield Result.from_outcome(index, item, outcome)

    def _outcomes(self, first: int, wanted: list[int]) -> Iterator[tuple[int, str]]:
        """The outcomes in those fields of the hash of item `first` that have some of the `wanted` items, by index."""
        name = f"{self._key}out:{first // BUCKET}"
        fields = cast(list[str], self.client.hkeys(name))
        chosen = sorted(span for span in map(span_of, fields) if _any_of(wanted, *span))
        while chosen:
            lot, chosen = chosen[: self._lot], chosen[self._lot :]
            texts = cast(list[str | None], self.client.hmget(name, [field(*span) for span in lot]))
            size = sum(len(text) for text in texts if text)
            self._lot = max(1, min(BUCKET, _LOT_BYTES * len(texts) // max(size, 1)))
            for (begin, _), text in zip(lot, texts, strict=True):
                if text is not None:
                    yield from enumerate(text.split("\n"), begin)

    def _attempts(self, indexes: list[int]) -> list[int]:
        """How often each of these items was tried and failed."""
        if not indexes:
            return []
        values = cast(list[str | None], self.client.hmget(f"{self._key}attempts", [str(index) for index in indexes]))
        return [int((value or "0").partition("/")[0]) for value in values]

    def failed(self, first: int) -> Iterator[Result]:
        """The results of the items from index `first` on that failed, by index."""
        index = self._next_failed(max(0, first))
        while index >= 0:
            end = index - index % BUCKET + BUCKET
            yield from self._read(index, end, "failed")
            index = self._next_failed(end)

    def _next_failed(self, first: int) -> int:
        return int(self.client.bitpos(f"{self._key}failed", 1, first, -1, mode="BIT"))

    def item(self, index: int) -> str | None:
        """The item at `index`, as JSON text; None when it was consumed."""
        first, items = self._block
        if not first <= index < first + len(items):
            entries = cast(Any, self.client.xrange(f"{self._key}in", min=index + 1, count=1))
            if not entries or int(entries[0][1]["first"]) > index:
                return cast(str | None, self.client.hget(f"{self._key}kept", str(index)))
            fields = entries[0][1]
            first, items = self._block = int(fields["first"]), fields["items"].split("\n")
        return items[index - first]


#: Behind all outcomes.
_NONE = (1 << 53, "")


def _any_of(indexes: list[int], first: int, end: int) -> bool:
    """Whether one of the sorted `indexes` is from `first` to `end - 1`."""
    place = bisect_left(indexes, first)
    return place < len(indexes) and indexes[place] < end


def _words(first: int, end: int) -> list[tuple[str, int | str]]:
    """How to read the bits `first` to `end - 1` of a bitmap, as few numbers: the type and the place of each."""
    return [(f"u{min(WORD, end - start)}", start) for start in range(first, end, WORD)]


def _indexes(words: list[int], first: int, end: int) -> Iterator[int]:
    """The indexes of the bits that are set, of bits read as `_words` says."""
    for word, start in zip(words, range(first, end, WORD), strict=True):
        width = min(WORD, end - start)
        yield from (start + place for place in range(width) if word >> (width - 1 - place) & 1)
