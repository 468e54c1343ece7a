"""Reads a batch's results with flat memory: in order, or as they complete."""

from collections.abc import Iterable, Iterator
from typing import Any, cast

from redis import Redis

from batches.result import Result
from config.settings import Settings

#: Indexes of one hash of outcomes; as in ledger.lua.
BUCKET = 500
_EVENTS_AT_ONCE = 5


class Reader:
    """Reads the results of one batch; keeps at most a few blocks of items in memory."""

    def __init__(self, client: Redis, settings: Settings, batch: str) -> None:
        self.client = client
        self._key = settings.key(f"batch:{batch}:")
        self._block: tuple[int, list[str]] = (0, [])

    def in_order(self, first: int, end: int) -> Iterator[Result]:
        """The results of the items `first` to `end - 1`, by index; items without an outcome are left out."""
        for start in range(first - first % BUCKET, end, BUCKET):
            outcomes = cast(dict[str, str], self.client.hgetall(f"{self._key}out:{start // BUCKET}"))
            for index in range(max(first, start), min(end, start + BUCKET)):
                outcome = outcomes.get(str(index))
                if outcome is not None:
                    yield Result.from_outcome(index, self.item(index), outcome)

    def prefix(self, first: int) -> int:
        """The end of the run of items from `first` on that have an outcome each."""
        # Bits before `first` are set already, so the search may begin at its byte.
        end = self.client.bitpos(f"{self._key}done", 0, first // 8)
        return max(first, end)

    def after(self, event: str, wait_ms: int) -> tuple[str, list[Result]]:
        """The results recorded after `event` (at first `0-0`), oldest first, and the event to go on from.

        Waits up to `wait_ms` for the first; answers with at most a few thousand at a time.
        """
        block = wait_ms if wait_ms > 0 else None
        answer = cast(Any, self.client.xread({f"{self._key}events": event}, count=_EVENTS_AT_ONCE, block=block))
        if not answer:
            return event, []
        entries = answer[f"{self._key}events"][0] if isinstance(answer, dict) else answer[0][1]
        found: list[Result] = []
        for identity, fields in entries:
            event = identity
            for part in fields["ranges"].split(","):
                first, _, last = part.partition("-")
                found += self._range(int(first), int(last))
        return event, found

    def _range(self, first: int, last: int) -> Iterable[Result]:
        for start in range(first - first % BUCKET, last + 1, BUCKET):
            indexes = range(max(first, start), min(last + 1, start + BUCKET))
            outcomes = cast(list[str | None], self.client.hmget(f"{self._key}out:{start // BUCKET}", list(indexes)))
            for index, outcome in zip(indexes, outcomes, strict=True):
                if outcome is not None:
                    yield Result.from_outcome(index, self.item(index), outcome)

    def failed(self, first: int) -> Iterator[Result]:
        """The results of the items from index `first` on that failed, by index."""
        index = self._next_failed(max(0, first))
        while index >= 0:
            yield from self.in_order(index, index + 1)
            index = self._next_failed(index + 1)

    def _next_failed(self, first: int) -> int:
        return int(self.client.bitpos(f"{self._key}failed", 1, first, -1, mode="BIT"))

    def item(self, index: int) -> str:
        """The item at `index`, as JSON text."""
        first, items = self._block
        if not first <= index < first + len(items):
            entries = cast(Any, self.client.xrange(f"{self._key}in", min=index + 1, count=1))
            fields = entries[0][1]
            first, items = self._block = int(fields["first"]), fields["items"].split("\n")
        return items[index - first]
