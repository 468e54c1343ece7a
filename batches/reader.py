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
                yield from self._result(index, outcomes.get(str(index)))

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
                yield from self._result(index, outcome)

    def _result(self, index: int, outcome: str | None) -> Iterable[Result]:
        # Between an outcome and its item, another reader may have consumed both.
        if outcome is not None and (item := self.item(index)) is not None:
            yield Result.from_outcome(index, item, outcome)

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
