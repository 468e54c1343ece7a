"""Consumes a batch's results: removes results from the server after somebody has read them, so that it has room."""

from collections.abc import Iterable, Iterator
from typing import cast

from redis import Redis

from gristmill.batches.result import Result
from gristmill.batches.scripts import BatchScripts
from gristmill.config.settings import Settings

#: The most indexes that one call removes, so that no other client waits long.
_AT_ONCE = 5000
_EVERY = 1 << 53


class ResultConsumer(BatchScripts):
    """Consumes one batch, created at `created` (ms): `consume` removes the results that `noted` has handed out."""

    def __init__(self, client: Redis, settings: Settings, batch: str, created: int) -> None:
        super().__init__(client, settings)
        self._which = {"batch": batch, "created": created}
        self._event = "0-0"
        self._ranges: list[tuple[int, int]] = []

    def noted(self, results: Iterable[Result]) -> Iterator[Result]:
        """The results; each succeeded one is noted as read when the caller asks for the next."""
        for result in results:
            yield result
            if result.state == "succeeded":
                first, last = self._ranges[-1] if self._ranges else (0, -2)
                if result.index == last + 1:
                    self._ranges[-1] = (first, result.index)
                else:
                    self._ranges.append((result.index, result.index))

    def consume(self, *, upto: str = "+", below: int = _EVERY) -> None:
        """Remove the noted results, and the events up to `upto` whose items are all below the index `below`."""
        *early, ranges = [*_portions(self._ranges)] or [[]]
        for portion in early:
            # No event is below 0: the events wait for the last portion.
            self._consume(upto, 0, portion)
        event = self._consume(upto, below, ranges)
        self._ranges = []
        while event not in (self._event, upto):
            self._event = event
            event = self._consume(upto, below, [])
        self._event = event

    def _consume(self, upto: str, below: int, ranges: list[str]) -> str:
        arguments = {**self._which, "after": self._event, "upto": upto, "below": below, "ranges": ranges}
        return cast(str, self._call("consume", **arguments))


def _portions(ranges: list[tuple[int, int]]) -> Iterator[list[str]]:
    """The ranges in the form that the script takes, in portions of _AT_ONCE indexes."""
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
