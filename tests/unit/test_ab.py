"""`make ab`: its interval is the textbook's, its verdicts follow from it, and the sides take turns."""

import math
import random
from contextlib import nullcontext
from types import SimpleNamespace

import pytest

from benchmarks.ab import __main__ as command
from benchmarks.ab import report
from benchmarks.ab.checkout import Checkout, NoCheckout, checkout
from benchmarks.ab.interval import Interval, paired
from benchmarks.ab.round import SIDES, BothSides, order, play
from benchmarks.ab.visit import FIGURES, Figure, Measure, VisitSize, visit

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
    old, new = (dict.fromkeys((figure.name for figure in FIGURES), value) for value in (2.0, 2.2))
    ratios = dict.fromkeys(old, 1.1)
    lines = report.table([BothSides(old, new, ratios)] * 8, 0.03).splitlines()
    assert len(lines) == 2 + len(FIGURES)
    assert lines[2] == f"| {FIGURES[0].name}, MiB | 2 | 2.2 | 1.100 | 1.100 to 1.100 | ±0.0 % | worse |"


def test_the_sides_take_turns_in_an_order_that_the_seed_decides():
    orders = {tuple(order(4, random.Random(seed))) for seed in range(20)}
    old, new = SIDES, SIDES[::-1]
    assert orders == {(old, new, old, new), (new, old, new, old)}
    assert order(4, random.Random(7)) == order(4, random.Random(7))


def test_a_round_has_the_median_of_the_ratios_of_its_turns(monkeypatch, tmp_path):
    # A machine that becomes three times as slow halfway; new costs 10 % more.
    costs = {"old": iter([1.0, 1.0, 3.0, 3.0]), "new": iter([1.1, 1.1, 3.3, 3.3])}
    measure = Measure("cost", (Figure("cost"),), lambda side, _size: [next(costs[side.name])])
    monkeypatch.setattr("benchmarks.ab.round.visit", lambda side: nullcontext(Side(side.name)))
    sides = {name: Checkout(name, tmp_path) for name in SIDES}
    one = play(sides, VisitSize(turns=4), random.Random(1), [measure])
    assert one.ratios["cost"] == pytest.approx(1.1)
    assert (one.old["cost"], one.new["cost"]) == (2.0, pytest.approx(2.2))


class Side:
    """A visit that measures nothing."""

    def __init__(self, name):
        self.name = name

    def settle(self):
        """Nothing has to start."""


def test_each_side_has_the_variables_that_were_given_for_it(monkeypatch, tmp_path, capsys):
    (tmp_path / "pyproject.toml").touch()
    (tmp_path / "Makefile").write_text(".venv/run:")
    monkeypatch.setattr(command, "compared", lambda _, *sides: seen.extend(sides) or [])
    monkeypatch.setattr(report, "table", lambda *_: "")
    monkeypatch.setattr(report, "intervals", lambda _: {})
    seen = []
    words = "--old-env GRISTMILL_METERS=false --old-env GRISTMILL_CHUNK_SECONDS=1 --new-env A=b=c"
    assert command.main([str(tmp_path), str(tmp_path), *words.split()]) == 0
    old, new = seen
    assert old.environ == {"GRISTMILL_METERS": "false", "GRISTMILL_CHUNK_SECONDS": "1"}
    assert new.environ == {"A": "b=c"}
    assert f"old: {tmp_path} GRISTMILL_METERS=false GRISTMILL_CHUNK_SECONDS=1; new:" in capsys.readouterr().out
    with pytest.raises(SystemExit):
        command.main([str(tmp_path), str(tmp_path), "--new-env", "GRISTMILL_METERS"])


def test_the_programs_of_a_side_have_its_variables_and_none_of_our_settings(monkeypatch, tmp_path):
    def start(_command, environ, *_):
        seen.append(dict(environ))
        return SimpleNamespace(end=lambda: None)

    seen = []
    monkeypatch.setenv("GRISTMILL_CHUNK_SECONDS", "7")
    monkeypatch.setattr("benchmarks.ab.visit.Program", start)
    monkeypatch.setattr("benchmarks.ab.visit.Visit._server_url", lambda _: "redis://127.0.0.1")
    with visit(Checkout("here", tmp_path, {"GRISTMILL_METERS": "false"})):
        pass
    # The server, the producer, the worker.
    assert [each["GRISTMILL_METERS"] for each in seen] == ["false"] * 3
    assert not any("GRISTMILL_CHUNK_SECONDS" in each for each in seen)


def test_a_name_that_is_no_commit_and_no_path_is_refused(tmp_path):
    for name in ("no-such-commit", str(tmp_path)):
        with pytest.raises(NoCheckout):
            checkout(name)
    assert command.main([str(tmp_path), "HEAD"]) == 2
