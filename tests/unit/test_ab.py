"""`make ab`: its interval is the textbook's, its verdicts follow from it, and the sides take turns."""

import math
import random

import pytest

from benchmarks.ab import __main__ as command
from benchmarks.ab import report
from benchmarks.ab.checkout import Checkout, NoCheckout, checkout
from benchmarks.ab.interval import Interval, paired
from benchmarks.ab.visit import FIGURES

#: The depression scores of Hollander and Wolfe, before and after a therapy, which R's help of `wilcox.test` has too.
BEFORE = (1.83, 0.50, 1.62, 2.48, 1.68, 1.88, 1.55, 3.06, 1.30)
AFTER = (0.878, 0.647, 0.598, 2.05, 1.06, 1.29, 1.06, 3.14, 1.29)


def test_the_interval_is_that_of_the_textbook():
    ratio = paired([math.exp(after - before) for before, after in zip(BEFORE, AFTER, strict=True)])
    assert [round(math.log(each), 3) for each in ratio] == [-0.46, -0.786, -0.01]


def test_the_interval_contains_the_truth_as_often_as_it_claims():
    luck = random.Random(1)
    inside = 0
    for _ in range(1_000):
        ratio = paired([1.05 * math.exp(luck.gauss(0, 0.03)) for _ in range(12)])
        inside += ratio.low <= 1.05 <= ratio.high
    assert 0.94 <= inside / 1_000 <= 0.98


def test_equal_figures_have_an_interval_without_width():
    assert paired([1.0] * 6) == (1, 1, 1)
    assert paired([1.0] * 6).resolution == 0


def test_too_few_pairs_have_no_interval():
    with pytest.raises(ValueError, match="expected at least 6"):
        paired([1.0] * 5)


@pytest.mark.parametrize(
    ("low", "high", "verdict"),
    [
        (0.90, 0.95, "no worse"),
        (0.98, 1.03, "no worse"),
        (1.01, 1.02, "no worse"),
        (1.01, 1.06, "worse"),
        (0.97, 1.06, "unresolved"),
    ],
)
def test_the_verdict_follows_from_the_interval(low, high, verdict):
    assert report.verdict(Interval((low + high) / 2, low, high), 0.03) == verdict


def test_the_table_has_a_line_for_each_figure():
    old = {figure.name: 2.0 for figure in FIGURES}
    new = {figure.name: 2.2 for figure in FIGURES}
    lines = report.table([(old, new)] * 8, 0.03).splitlines()
    assert len(lines) == 2 + len(FIGURES)
    assert lines[2] == f"| {FIGURES[0].name}, µs | 2 | 2.2 | 1.100 | 1.100 to 1.100 | ±0.0 % | worse |"


def test_the_sides_take_turns_in_an_order_that_the_seed_decides(monkeypatch, tmp_path):
    visits = []
    monkeypatch.setattr(command, "figures", lambda side, _size: visits.append(side.name) or {"side": side.name})
    sides = Checkout("old", tmp_path), Checkout("new", tmp_path)
    both = command.pairs(*sides, command.QUICK, random.Random(1))
    assert {(old["side"], new["side"]) for old, new in (next(both) for _ in range(40))} == {("old", "new")}
    rounds = {tuple(visits[first : first + 4]) for first in range(0, 80, 4)}
    assert rounds == {("old", "new", "new", "old"), ("new", "old", "old", "new")}


def test_a_name_that_is_no_commit_and_no_path_is_refused(tmp_path):
    for name in ("no-such-commit", str(tmp_path)):
        with pytest.raises(NoCheckout):
            checkout(name)
    assert command.main([str(tmp_path), "HEAD"]) == 2
