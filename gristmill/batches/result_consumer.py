"""Consumes a batch's results: removes from the server what somebody has read, so that it takes more."""

from collections.abc import Iterable, Iterator
from typing import cast

from redis import Redis

from gristmill.batches.result import Result
from gristmill.batches.scripts import script
from gristmill.config.settings import Settings

#: Indexes that one call removes at most, so that it keeps nobody waiting.
_AT_ONCE = 5000
_EVERY = 1 << 53


class ResultConsumer:
    """Consumes one batch, created at `created` (ms): what `noted` has handed out and `consume` then removes."""

    def __init__(self, client: Redis, settings: Settings, batch: str, created: int) -> None:
        self._script = script(client, "consume")
        self._which = (settings.prefix, batch, created)
        self._event = "0-0"
        self._read: list[tuple[int, int]] = []

    def noted(self, results: Iterable[Result]) -> Iterator[Result]:
        """The results, each noted as read once the next is asked for; only succeeded ones are consumed."""
        for result in results:
            yield result
            if result.state == "succeeded":
                first, last = self._read[-1] if self._read else (0, -2)
                if result.index == last + 1:
                    self._read[-1] = (first, result.index)
                else:
                    self._read.append((result.index, result.index))

    def consume(self, *, upto: str = "+", below: int = _EVERY) -> None:
        """Remove what was noted, and events up to `upto` whose items all are below the index `below`."""
        *early, ranges = [*_portions(self._read)] or [[]]
        for portion in early:
            # No event is below 0: they wait for the last portion.
            self._call(upto, 0, portion)
        event = self._call(upto, below, ranges)
        self._read = []
        while event not in (self._event, upto):
            self._event = event
            event = self._call(upto, below, [])
        self._event = event

    def _call(self, upto: str, below: int, ranges: list[str]) -> str:
        return cast(str, self._script(args=[*self._which, self._event, upto, below, *ranges]))


def _portions(ranges: list[tuple[int, int]]) -> Iterator[list[str]]:
    """The ranges as the script takes them, in portions of _AT_ONCE indexes."""
    portion: list[str] = []
    size = 0
    for begin, last in ranges:
        for first in range(begin, last + 1, _AT_ONCE):
            end = min(last, first + _AT_ONCE - 1)
            if size + end - first >= _AT_ONCE:
                yield portion
                portion, size = [], 0
            portion.append(f"{first}-{end}")
            size += end - first + 1
    if portion:
        yield portion
