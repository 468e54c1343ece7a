"""Follows a batch to its end: its counters, each time with the results that are new."""

import time
from collections.abc import Callable, Iterable, Iterator
from functools import partial

from gristmill.batches.info import ENDED, BatchInfo
from gristmill.batches.reader import ResultReader
from gristmill.batches.result import Result
from gristmill.batches.result_consumer import ResultConsumer

#: Milliseconds that one wait for results takes at most: the end of the batch and of a limit are noticed then.
_WAIT_MS = 500
#: Seconds between two looks for the next result in order; results that are read in order at a time.
_POLL_SECONDS, _LOT = 0.2, 5000

Lots = Iterator[tuple[BatchInfo, Iterable[Result]]]


class Follower:
    """Follows one batch. `info` returns its counters, and `check` raises when the wait has taken too long.

    Unless it `blocks`, it waits for nothing: each step yields what is there. Without `values`, results lack those that
    are in files.
    """

    def __init__(
        self,
        info: Callable[[], BatchInfo],
        check: Callable[[], None],
        reader: ResultReader,
        consumer: ResultConsumer | None,
        blocks: bool = True,
        values: bool = True,
    ) -> None:
        self._info, self._check, self._blocks, self._values = info, check, blocks, values
        self._reader, self._consumer = reader, consumer

    def as_completed(self) -> Lots:
        """Yield the results in the order in which the items ended, cancelled items last."""
        event = "0-0"
        while True:
            before = event
            info, (event, results) = self._reader.confirmed(partial(self._new_since, before))
            ended = info.state in ENDED
            yield info, self._noted(results)
            if self._consumer and event != before:
                self._consumer.consume(upto=event)
            if ended and not results:
                if info.cancelled:
                    yield info, self._reader.cancelled(info.submitted)
                return
            self._check()

    def _new_since(self, event: str) -> tuple[BatchInfo, tuple[str, list[Result]]]:
        # Before the events: results that workers record in between are read, not missed.
        info = self._info()
        return info, self._reader.after(event, _WAIT_MS if self._blocks and info.state not in ENDED else 0)

    def in_order(self) -> Lots:
        """Yield the results by index."""
        first = 0
        while True:
            info, end = self._reader.confirmed(partial(self._in_a_row, first))
            yield info, self._noted(self._reader.in_order(first, end))
            if self._consumer and end > first:
                self._consumer.consume(below=end)
            if info.state in ENDED and end == info.submitted:
                return
            self._check()
            if self._blocks and end - first < _LOT:
                time.sleep(_POLL_SECONDS)
            first = end

    def _in_a_row(self, first: int) -> tuple[BatchInfo, int]:
        """The counters, and the end of the next items that all have an outcome."""
        info = self._info()
        return info, min(self._reader.prefix(first), info.submitted, first + _LOT)

    def _noted(self, results: Iterable[Result]) -> Iterable[Result]:
        if self._values:
            # One by one, as the caller asks for them: each may be large.
            results = self._reader.with_values(results)
        return self._consumer.noted(results) if self._consumer else results
