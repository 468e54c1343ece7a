"""The buckets of one width in memory: each is read from the server until it is over, then once for all readers."""

import threading
from collections.abc import Callable, Iterable
from typing import Generic, TypeVar

from gristmill.fleet.meters import WIDTHS, Bucket, Meters

#: Seconds after its end for which a bucket may change: its last seconds are added late.
_OPEN = 3

View = TypeVar("View")


class Buckets(Generic[View]):
    """The buckets of `width` seconds, each in the form that `make` gives it; safe to share between threads."""

    def __init__(self, meters: Meters, width: int, make: Callable[[Bucket], View]) -> None:
        self._meters, self._width, self._make = meters, width, make
        self._views: dict[int, View] = {}
        self._lock = threading.Lock()

    def read(self, starts: Iterable[int], now: float) -> list[View]:
        """The buckets that start at `starts`, multiples of the width; `now` is the server's Unix time in seconds."""
        with self._lock:
            starts = list(starts)
            missing = [start for start in starts if start not in self._views]
            buckets = self._meters.read(self._width, missing) if missing else []
            fresh = {start: self._make(bucket) for start, bucket in zip(missing, buckets, strict=True)}
            answer = [fresh[start] if start in fresh else self._views[start] for start in starts]
            self._views.update((start, view) for start, view in fresh.items() if start + self._width + _OPEN < now)
            for start in [start for start in self._views if start < now - self._width * WIDTHS[self._width]]:
                del self._views[start]
            return answer
