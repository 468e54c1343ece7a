"""Fibonacci numbers that take a known time on this machine, so that a demo is as long on any."""

import time
from collections.abc import Callable, Sequence
from itertools import accumulate
from math import gcd
from typing import Any

#: The next Fibonacci number takes this many times as long: the golden ratio.
GOLDEN = (1 + 5**0.5) / 2
_PROBE = 21


def seconds_each(fibonacci: Callable[[int], int]) -> Callable[[int], float]:
    """A function that estimates the seconds of `fibonacci(n)`, from the best of a few short runs."""
    best = min(timed(fibonacci, _PROBE) for _ in range(5))
    return lambda n: best * GOLDEN ** (n - _PROBE)


def timed(function: Callable[[Any], object], item: object) -> float:
    """Seconds of one call."""
    started_at = time.perf_counter()
    function(item)
    return time.perf_counter() - started_at


def mixed(count: int, spread: int, seconds: float, fibonacci: Callable[[int], int]) -> list[int]:
    """`count` numbers of `spread` neighbouring sizes, well mixed, that take about `seconds` one after another."""
    return _enough(count, spread, seconds, seconds_each(fibonacci))


def lasting(most: int, spread: int, seconds: float, fibonacci: Callable[[int], int]) -> list[int]:
    """As `mixed`, but only so many of the `most` numbers that they take `seconds`: `mixed` may take 1.6 times that."""
    estimate = seconds_each(fibonacci)
    numbers = _enough(most, spread, seconds, estimate)
    spent = accumulate(estimate(n) for n in numbers)
    return [n for n, after in zip(numbers, spent, strict=True) if after - estimate(n) < seconds]


def longest_share(numbers: Sequence[int]) -> float:
    """The share of the work on all `numbers` that the longest number takes."""
    costs = [GOLDEN**n for n in numbers]
    return max(costs) / sum(costs)


def _enough(count: int, spread: int, seconds: float, estimate: Callable[[int], float]) -> list[int]:
    top = spread
    while sum(estimate(n) for n in _cycle(count, spread, top)) < seconds:
        top += 1
    return _cycle(count, spread, top)


def _cycle(count: int, spread: int, top: int) -> list[int]:
    # A step that shares no factor with the spread visits every size before it repeats one.
    step = next(step for step in range(spread // 2, spread + 2) if gcd(step, spread) == 1)
    return [top - (i * step) % spread for i in range(count)]
