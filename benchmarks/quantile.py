"""The quantile by which all benchmarks tell how slow the slowest are."""

from collections.abc import Collection
from math import ceil


def quantile(numbers: Collection[float], share: float) -> float:
    """The least of `numbers` that at least a `share` of them, 0 to 1, does not exceed; 0 of none."""
    return sorted(numbers)[max(0, ceil(share * len(numbers)) - 1)] if numbers else 0.0
