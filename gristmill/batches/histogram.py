"""Histograms of durations: log-spaced buckets, five to a decade, from 10 µs to 1,000,000 s."""

from bisect import bisect_left, bisect_right
from collections.abc import Iterable, Mapping
from functools import partial

#: Buckets to a decade; the first and the last bucket. As in count.lua.
PER_DECADE = 5
FIRST, LAST = -25, 30


def bucket(seconds: float) -> int:
    """The bucket of a duration: bucket n holds durations up to 10^(n/5) s that do not fit in bucket n - 1."""
    return FIRST + _place(seconds)


def bound(number: int) -> float:
    """The longest duration, in seconds, that bucket `number` holds."""
    return float(10 ** (number / PER_DECADE))


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

    The result is an estimate inside its bucket: it is off by a bucket's width at most, a factor of 1.6.
    """
    rank = share * sum(counts.values())
    below = 0
    for number in sorted(counts):
        if counts[number] and below + counts[number] >= rank:
            inside = max(0.0, rank - below) / counts[number]
            return float(bound(number - 1) * (bound(number) / bound(number - 1)) ** inside)
        below += counts[number]
    return None
