"""The buckets of one width, each of which is read once it is over and then kept, however many look."""

import threading
from collections.abc import Callable, Iterable
from typing import Generic, TypeVar

from gristmill.fleet.meters import WIDTHS, Bucket, Meters

#: Seconds for which a bucket may still change: its last seconds are added late.
_OPEN = 3

Kept = TypeVar("Kept")


class Buckets(Generic[Kept]):
    """The buckets of `width` seconds, as `make` makes them of what was read; safe to share between threads."""

    def __init__(self, meters: Meters, width: int, make: Callable[[Bucket], Kept]) -> None:
        self._meters, self._width, self._make = meters, width, make
        self._known: dict[int, Kept] = {}
        self._lock = threading.Lock()

    def read(self, starts: Iterable[int], now: float) -> list[Kept]:
        """Those that begin at `starts`, multiples of the width, at the server's Unix time `now`."""
        with self._lock:
            starts = list(starts)
            wanted = [start for start in starts if start not in self._known]
            read = self._meters.read(self._width, wanted) if wanted else []
            found = {start: self._make(bucket) for start, bucket in zip(wanted, read, strict=True)}
            answer = [found[start] if start in found else self._known[start] for start in starts]
            self._known.update((start, made) for start, made in found.items() if start + self._width + _OPEN < now)
            for start in [start for start in self._known if start < now - self._width * WIDTHS[self._width]]:
                del self._known[start]
            return answer
