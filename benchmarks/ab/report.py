"""What a comparison tells: for each figure its ratio, how sure that is, and a verdict."""

import statistics
from collections.abc import Sequence

from benchmarks import page
from benchmarks.ab.interval import Interval, paired
from benchmarks.ab.round import BothSides
from benchmarks.ab.visit import FIGURES, Figure


def verdict(ratio: Interval, margin: float) -> str:
    """What the interval of new to old says, where more costs more and `margin` (a share) is what is allowed.

    "no worse": it ends below 1 + margin. "worse": it ends above that and begins above 1. "unresolved": otherwise, the
    interval is too wide to tell.
    """
    if ratio.high <= 1 + margin:
        return "no worse"
    return "worse" if ratio.low > 1 else "unresolved"


def intervals(rounds: Sequence[BothSides]) -> dict[Figure, Interval]:
    """The ratio of new to old for each figure that was measured."""
    figures = [figure for figure in FIGURES if figure.name in rounds[0].ratios]
    return {figure: paired([each.ratios[figure.name] for each in rounds]) for figure in figures}


def table(rounds: Sequence[BothSides], margin: float) -> str:
    """A line a figure."""
    head = ["figure", "old", "new", "new to old", "95 % interval", "resolution", "verdict"]
    lines = []
    for figure, ratio in intervals(rounds).items():
        old, new = (
            statistics.median(side[figure.name] for side in sides)
            for sides in zip(*((each.old, each.new) for each in rounds), strict=True)
        )
        lines.append(
            [
                f"{figure.name}{figure.unit and ', '}{figure.unit}",
                f"{old:,.3g}" if old < 1000 else f"{old:,.0f}",
                f"{new:,.3g}" if new < 1000 else f"{new:,.0f}",
                f"{ratio.estimate:.3f}",
                f"{ratio.low:.3f} to {ratio.high:.3f}",
                f"±{100 * ratio.resolution:.1f} %",
                verdict(ratio, margin),
            ]
        )
    return page.table(head, lines)
