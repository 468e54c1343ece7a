"""Histograms of durations: log-spaced buckets, ten to a decade, from 10 µs to 1,000,000 s."""

from bisect import bisect_left, bisect_right
from collections.abc import Iterable, Mapping
from functools import partial
from math import sqrt

#: Buckets to a decade; the first and the last bucket. As in counts.lua.
PER_DECADE = 10
FIRST, LAST = -50, 60
#: Buckets that are one bucket of a coarse histogram: that of a batch has five to a decade.
COARSE = 2


def bucket(seconds: float) -> int:
    """The bucket of a duration: bucket n holds durations up to 10^(n/10) s that do not fit in bucket n - 1."""
    return FIRST + _place(seconds)


def bound(number: int) -> float:
    """The longest duration, in seconds, that bucket `number` holds."""
    return float(10 ** (number / PER_DECADE))


def middle(number: int) -> float:
    """A duration in the middle of a histogram's bucket, in seconds."""
    return sqrt(bound(number) * bound(number - 1))


def encode(seconds: Iterable[float]) -> str:
    """The histogram of durations in the form that the scripts take: `bucket:number,…`."""
    # Every item passes here. Sorting all durations takes a quarter of the time of a look-up for each.
    durations, parts, begin = sorted(seconds), [], 0
    while begin < len(durations):
        place = _place(durations[begin])
        end = bisect_right(durations, _BOUNDS[place], begin) if place < len(_BOUNDS) else len(durations)
        parts.append(f"{FIRST + place}:{end - begin}")
        begin = end
    return ",".join(parts)


_BOUNDS = [bound(number) for number in range(FIRST, LAST)]
_place = partial(bisect_left, _BOUNDS)


def quantile(counts: Mapping[int, int], share: float) -> float | None:
    """The duration in seconds that a `share` (0 to 1) of the counted durations do not exceed; None without counts.

    The result is an estimate inside its bucket: it is off by a bucket's width at most, a factor of 1.26, or of 1.58
    where `from_coarse` made the histogram.
    """
    rank = share * sum(counts.values())
    below = 0
    for number in sorted(counts):
        if counts[number] and below + counts[number] >= rank:
            inside = max(0.0, rank - below) / counts[number]
            return float(bound(number - 1) * (bound(number) / bound(number - 1)) ** inside)
        below += counts[number]
    return None


def from_coarse(counts: Mapping[int, int]) -> dict[int, int]:
    """The histogram for one with five buckets to a decade: half of each bucket's number is in either of its halves."""
    fine: dict[int, int] = {}
    for number, count in counts.items():
        for place, share in ((COARSE * number - 1, count // 2), (COARSE * number, count - count // 2)):
            if share:
                fine[place] = fine.get(place, 0) + share
    return fine
