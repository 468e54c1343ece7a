"""Reads a batch's results in order, or as they complete; memory stays flat."""

from bisect import bisect_left
from collections.abc import Callable, Iterable, Iterator
from functools import partial
from json import loads
from typing import Any, TypeVar, cast

from redis import Redis

from gristmill.batches.bit_words import set_bits, words_of
from gristmill.batches.chunk import attempts_of
from gristmill.batches.outcomes import BUCKET, StoredGroup, StoredOutcome, event_ranges, field, span_of, stored
from gristmill.batches.result import Result
from gristmill.batches.value_file import NoSuchFolder, UnreadableValue, ValueFile
from gristmill.config.settings import Settings, variable
from gristmill.errors import SettingError
from gristmill.server.confirm import confirmed

T = TypeVar("T")

#: Events of a page, at most; and where replicas confirm each page, which takes longer than to read one, with the items
#: after which a page ends: what workers record while one page is confirmed makes the next one.
_EVENTS_AT_ONCE, _EVENTS_TO_CONFIRM, _ITEMS_TO_CONFIRM = 5, 100, 5000
#: Bytes of outcomes to ask for at a time, and the number of fields while their size is unknown.
_LOT_BYTES, _FIRST_LOT = 4 << 20, 20


class ResultReader:
    """Reads the results of one batch; holds a few blocks of items in memory at most."""

    def __init__(self, client: Redis, settings: Settings, batch: str) -> None:
        #: That of one connection while a page is read that replicas have to confirm.
        self.client = client
        self._settings = settings
        self._key = settings.key(f"batch:{batch}:")
        self._block: tuple[int, list[str]] = (0, [])
        #: The items of that block, decoded; None until one is asked for.
        self._inputs: list[Any] | None = None
        #: Fields of outcomes to ask for at a time, from the size of the last ones: one value may have 1 MiB.
        self._lot = _FIRST_LOT
        #: Bytes of outcomes that the current page has read.
        self._bytes = 0

    def in_order(self, first: int, end: int) -> Iterator[Result]:
        """The results of the items `first` to `end - 1`, by index; without the items that have no outcome."""
        return self._pages(first, end, "done")

    def _pages(self, first: int, end: int, part: str) -> Iterator[Result]:
        """The results whose bit in `part` is set, on as many replicas as a setting says: page by page."""
        if not self._settings.confirm_replicas:
            for begin, stop in _buckets(first, end):
                yield from self._read(begin, stop, part)
            return
        while first < end:
            page, first = self.confirmed(partial(self._page, first, end, part))
            yield from page

    def _page(self, first: int, end: int, part: str) -> tuple[list[Result], int]:
        """Results from index `first` on, of _LOT_BYTES at most, and the index from which to go on."""
        page: list[Result] = []
        self._bytes = 0
        for begin, stop in _buckets(first, min(end, first + _ITEMS_TO_CONFIRM)):
            for result in self._read(begin, stop, part):
                page.append(result)
                if self._bytes > _LOT_BYTES:
                    return page, result.index + 1
        return page, stop

    def confirmed(self, work: Callable[[], T]) -> T:
        """Read with `work`, whose calls go over one connection meanwhile; replicas have what it returns.

        Raises:
            ServerError, RedisError: as with `gristmill.server.confirm.confirmed`.
        """

        def read(one: Redis) -> T:
            before, self.client = self.client, one
            try:
                return work()
            finally:
                self.client = before

        return confirmed(self.client, self._settings, read)

    def cancelled(self, end: int) -> Iterator[Result]:
        """The results of the cancelled items among 0 to `end - 1`, by index: they have no event."""
        return (result for result in self.in_order(0, end) if result.state == "cancelled")

    def prefix(self, first: int) -> int:
        """The index of the first item from `first` on that has no outcome."""
        # The bits before `first` are set, so the search may start at its byte.
        return max(first, self.confirmed(lambda: self.client.bitpos(f"{self._key}done", 0, first // 8)))

    def after(self, event: str, wait_ms: int) -> tuple[str, list[Result]]:
        """The results recorded after `event` (at first `0-0`), oldest first, and the event to continue from.

        The result of an item that `retry` released again is left out where its newer outcome has an event of its own.
        Waits up to `wait_ms` milliseconds for the first event; returns at most a few thousand results at a time, and
        none only when there are no more events.
        """
        return self.confirmed(partial(self._after, event, wait_ms))

    def _after(self, event: str, wait_ms: int) -> tuple[str, list[Result]]:
        results: list[Result] = []
        self._bytes = 0
        while not results and (events := self._events(event, wait_ms)):
            for identity, fields in events:
                event = identity
                for part in event_ranges(fields["ranges"]):
                    results += self._of_event(*part)
                if self._bytes > _LOT_BYTES or len(results) >= _ITEMS_TO_CONFIRM:
                    break
        return event, results

    def _events(self, event: str, wait_ms: int) -> list[tuple[str, dict[str, str]]]:
        block = wait_ms if wait_ms > 0 else None
        count = _EVENTS_TO_CONFIRM if self._settings.confirm_replicas else _EVENTS_AT_ONCE
        answer = cast(Any, self.client.xread({f"{self._key}events": event}, count=count, block=block))
        if not answer:
            return []
        entries = answer[f"{self._key}events"][0] if isinstance(answer, dict) else answer[0][1]
        return cast(list[tuple[str, dict[str, str]]], entries)

    def _of_event(self, first: int, last: int, attempt: int) -> list[Result]:
        """The results of an event's range, but for those with a later event."""
        # A cancelled item has no event; an item with more attempts has a later event.
        return [
            result
            for part in _buckets(first, last + 1)
            for result in self._read(*part)
            if result.state != "cancelled" and result.attempts <= attempt
        ]

    def _read(self, first: int, end: int, part: str = "done") -> Iterable[Result]:
        """The results of the items `first` to `end - 1`, of one hash of outcomes, whose bit in `part` is set."""
        with self.client.pipeline() as pipe:
            # A follower asks for outcomes that were recorded together: these are one field.
            pipe.hget(f"{self._key}out:{first // BUCKET}", field(first, end))
            for bitmap in (part, "cancelled", "consumed"):
                (word, at), *more = words_of(first, end)
                pipe.bitfield_ro(f"{self._key}{bitmap}", word, at, more)
            pipe.exists(f"{self._key}logs")
            together, *bitmaps, some_logs = cast(
                tuple[str | None, list[int], list[int], list[int], int], pipe.execute()
            )
        indexes, cancelled, consumed = (set_bits(words, first, end) for words in bitmaps)
        self._bytes += len(together or "")
        if together and len(indexes) == end - first and not (cancelled or consumed or some_logs):
            group, inputs = StoredGroup.of(together), self._inputs_of(first, end)
            if group and inputs:
                return Result.of_group(first, inputs, group)
        logs = {index: text for index, text in self._fields("logs", indexes) if text is not None} if some_logs else {}
        self._bytes += sum(map(len, logs.values()))
        outcomes = self._outcomes(first, indexes) if together is None else enumerate(stored(together), first)
        return self._one_by_one(indexes, cancelled, set(consumed), outcomes, logs)

    def _one_by_one(
        self,
        indexes: list[int],
        cancelled: list[int],
        removed: set[int],
        outcomes: Iterator[tuple[int, StoredOutcome]],
        logs: dict[int, str],
    ) -> Iterator[Result]:
        """The results of these items, of their outcomes and logs, by index; without those of `removed`."""
        # A cancelled item, or one that runs again, may have the outcome of an earlier run.
        attempts = {index: attempts_of(text)[0] for index, text in self._fields("attempts", cancelled)}
        here, outcome = next(outcomes, _NONE)
        for index in indexes:
            while here < index:
                here, outcome = next(outcomes, _NONE)
            # After this reader got an outcome, another reader may have consumed the outcome and its item.
            if index in removed or (index not in attempts and here > index) or (item := self.item(index)) is None:
                continue
            if index in attempts:
                yield Result.of_cancelled(index, self._input(index, item), attempts[index])
            else:
                yield Result.from_outcome(index, self._input(index, item), outcome, logs.get(index))

    def _outcomes(self, first: int, indexes: list[int]) -> Iterator[tuple[int, StoredOutcome]]:
        """The outcomes, by index, in those fields of the hash of item `first` that have one of the items `indexes`."""
        name = f"{self._key}out:{first // BUCKET}"
        fields = cast(list[str], self.client.hkeys(name))
        spans = sorted(span for span in map(span_of, fields) if _any_of(indexes, *span))
        while spans:
            lot, spans = spans[: self._lot], spans[self._lot :]
            texts = cast(list[str | None], self.client.hmget(name, [field(*span) for span in lot]))
            size = sum(len(text) for text in texts if text)
            self._bytes += size
            self._lot = max(1, min(BUCKET, _LOT_BYTES * len(texts) // max(size, 1)))
            for (begin, _), text in zip(lot, texts, strict=True):
                if text is not None:
                    yield from enumerate(stored(text), begin)

    def _fields(self, part: str, indexes: list[int]) -> Iterable[tuple[int, str | None]]:
        """What the hash `part` has of each of these items."""
        if not indexes:
            return ()
        texts = cast(list[str | None], self.client.hmget(f"{self._key}{part}", [str(index) for index in indexes]))
        return zip(indexes, texts, strict=True)

    def with_values(self, results: Iterable[Result]) -> Iterator[Result]:
        """The results, each with its value when it is in a file; without those that another reader consumed meanwhile.

        A result whose file cannot be read is one that failed, and says so.

        Raises:
            SettingError: this host does not see the folder of the batch's values.
        """
        for result in results:
            if result.file is None:
                yield result
            elif (read := self._with_value(result, result.file)) is not None:
                yield read

    def _with_value(self, result: Result, file: ValueFile) -> Result | None:
        what = f"the value of item {result.index}"
        try:
            return result.with_value(file.value(self._settings, what))
        except (NoSuchFolder, UnreadableValue) as error:
            if self.client.getbit(f"{self._key}consumed", result.index):
                return None
            if isinstance(error, UnreadableValue):
                return result.unreadable(f"{what} is in a file that cannot be read: {error} ({variable('data_root')})")
            expected = f"expected in {variable('data_root')} the directory that all hosts share"
            raise SettingError(f"{what} is in a file that this host does not see: {error} ({expected})") from None

    def failed(self, first: int) -> Iterator[Result]:
        """The results of the items from index `first` on that failed, by index."""
        index = self._next_failed(max(0, first))
        while index >= 0:
            end = index - index % BUCKET + BUCKET
            yield from self._pages(index, end, "failed")
            index = self._next_failed(end)

    def _next_failed(self, first: int) -> int:
        return int(self.client.bitpos(f"{self._key}failed", 1, first, -1, mode="BIT"))

    def item(self, index: int) -> str | None:
        """The item at `index`, as JSON text; None when a reader consumed it."""
        first, items = self._block
        if not first <= index < first + len(items):
            entries = cast(Any, self.client.xrange(f"{self._key}in", min=index + 1, count=1))
            if not entries or int(entries[0][1]["first"]) > index:
                return cast(str | None, self.client.hget(f"{self._key}retained_inputs", str(index)))
            fields = entries[0][1]
            first, items = self._block = int(fields["first"]), fields["items"].split("\n")
            self._inputs = None
        return items[index - first]

    def _input(self, index: int, item: str) -> Any:
        """The item, decoded: with its whole block, because a call costs more than the decoding."""
        first, items = self._block
        if not first <= index < first + len(items):
            return loads(item)
        return self._decoded(items)[index - first]

    def _decoded(self, items: list[str]) -> list[Any]:
        if self._inputs is None:
            self._inputs = loads(f"[{','.join(items)}]")
        return self._inputs

    def _inputs_of(self, first: int, end: int) -> list[Any] | None:
        """The items `first` to `end - 1`, decoded; None where one of them is in no block."""
        inputs: list[Any] = []
        while (index := first + len(inputs)) < end:
            if self.item(index) is None:
                return None
            begin, items = self._block
            if not begin <= index < begin + len(items):
                return None
            inputs += self._decoded(items)[index - begin : end - begin]
        return inputs


#: A place behind all outcomes.
_NONE = (1 << 53, StoredOutcome("", None, 0, 0.0, None, None))


def _buckets(first: int, end: int) -> Iterator[tuple[int, int]]:
    """The parts of the range `first` to `end - 1` whose outcomes are in one hash each."""
    while first < end:
        stop = min(end, first - first % BUCKET + BUCKET)
        yield first, stop
        first = stop


def _any_of(indexes: list[int], first: int, end: int) -> bool:
    """Whether one of the sorted `indexes` is from `first` to `end - 1`."""
    place = bisect_left(indexes, first)
    return place < len(indexes) and indexes[place] < end
