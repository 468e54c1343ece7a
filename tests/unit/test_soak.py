"""What the soak says of its samples."""

from dataclasses import replace

import pytest

from benchmarks.soak import SLACK, Sample, growth

FLAT = Sample(
    seconds=0, server_mb=10, worker_mb=200, processes=5, connections=20, files=60, home_files=8, keys=12, expiring=300
)


def samples(name, first_half, second_half):
    """100 samples in which a figure grows by so much in each half."""
    per_step = [first_half / 50] * 50 + [second_half / 50] * 50
    figures = [getattr(FLAT, name) + sum(per_step[: place + 1]) for place in range(100)]
    return [replace(FLAT, seconds=5 * place, **{name: figure}) for place, figure in enumerate(figures)]


@pytest.mark.parametrize("name", SLACK)
def test_what_grows_in_the_second_half_is_named(name):
    big = 2 * getattr(FLAT, name) + 4 * SLACK[name]
    assert [line.split()[0] for line in growth(samples(name, 0, big))] == [name]


@pytest.mark.parametrize("name", SLACK)
def test_what_grows_in_the_first_half_only_is_all_right(name):
    assert growth(samples(name, 1000, 0)) == []
