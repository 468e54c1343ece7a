"""The quantile of the benchmarks."""

import pytest

from benchmarks.quantile import quantile


@pytest.mark.parametrize(
    ("numbers", "share", "value"),
    [
        ((), 0.5, 0),
        ((7,), 0.99, 7),
        ((3, 1, 2), 0.5, 2),
        ((4, 3, 2, 1), 0.5, 2),
        (range(1, 101), 0.99, 99),
        (range(50), 1, 49),
    ],
)
def test_it_is_one_of_the_numbers(numbers, share, value):
    assert quantile(numbers, share) == value
