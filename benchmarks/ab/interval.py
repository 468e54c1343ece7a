"""The median of ratios that were measured in pairs, and its 95 % interval."""

import math
from collections.abc import Sequence
from typing import NamedTuple

CONFIDENCE = 0.95
#: Fewest ratios that give such an interval.
FEWEST = 6


class Interval(NamedTuple):
    """An estimate of a ratio, between `low` and `high` with a probability of CONFIDENCE."""

    estimate: float
    low: float
    high: float

    @property
    def resolution(self) -> float:
        """Half the width of the interval, as a share of the estimate."""
        return (self.high - self.low) / 2 / self.estimate

    def keeps(self, limit: float, *, at_least: bool) -> bool | None:
        """Whether all of it is `limit` or more, or with `at_least` false `limit` or less; None: it has both sides."""
        good = [value >= limit if at_least else value <= limit for value in (self.low, self.high)]
        return good[0] if good[0] == good[1] else None


def paired(ratios: Sequence[float]) -> Interval:
    """The Hodges-Lehmann estimate of the median of the ratios, with the exact interval of Wilcoxon's signed ranks.

    Both are taken of the ratios' logarithms, whose differences are symmetric when the two sides only swap places.
    Source: Hollander, Wolfe and Chicken, "Nonparametric Statistical Methods", 3rd edition (2014), sections 3.2 and 3.3.

    Raises:
        ValueError: there are fewer than six ratios, too few for an interval of 95 %.
    """
    if len(ratios) < FEWEST:
        raise ValueError(f"{len(ratios)} ratios (expected at least {FEWEST})")
    logs = [math.log(ratio) for ratio in ratios]
    means = sorted((one + other) / 2 for i, one in enumerate(logs) for other in logs[i:])
    outside = _outside(len(logs))
    return Interval(*map(math.exp, (_median(means), means[outside], means[-1 - outside])))


def _median(values: Sequence[float]) -> float:
    return (values[(len(values) - 1) // 2] + values[len(values) // 2]) / 2


def _outside(count: int) -> int:
    """How many of the sorted means of pairs lie below the interval.

    The sum of the ranks of `count` differences of random signs is as often s as the ranks have subsets with the sum s.
    """
    subsets = [1] + [0] * (count * (count + 1) // 2)
    for rank in range(1, count + 1):
        for total in range(len(subsets) - 1, rank - 1, -1):
            subsets[total] += subsets[total - rank]
    below, outside = 0, -1
    while (below + subsets[outside + 1]) / 2**count <= (1 - CONFIDENCE) / 2:
        outside += 1
        below += subsets[outside]
    return outside
