"""What a comparison tells: for each figure its ratio, how sure that is, and a verdict."""

import statistics
from collections.abc import Sequence

from benchmarks import page
from benchmarks.ab.interval import Interval, paired
from benchmarks.ab.visit import FIGURES, Figure, Figures


def verdict(ratio: Interval, margin: float) -> str:
    """What the interval of new to old says, where more costs more and `margin` (a share) is what is allowed.

    "no worse": it ends below 1 + margin. "worse": it ends above that and begins above 1. "unresolved": otherwise, the
    interval is too wide to tell.
    """
    if ratio.high <= 1 + margin:
        return "no worse"
    return "worse" if ratio.low > 1 else "unresolved"


def intervals(pairs: Sequence[tuple[Figures, Figures]]) -> dict[Figure, Interval]:
    """The ratio of new to old for each figure."""
    return {row: paired([new[row.name] / old[row.name] for old, new in pairs]) for row in FIGURES}


def table(pairs: Sequence[tuple[Figures, Figures]], margin: float) -> str:
    """A line a figure."""
    head = ["figure", "old", "new", "new to old", "95 % interval", "resolution", "verdict"]
    lines = []
    for row, ratio in intervals(pairs).items():
        old, new = (statistics.median(side[row.name] for side in sides) for sides in zip(*pairs, strict=True))
        lines.append(
            [
                f"{row.name}{row.unit and ', '}{row.unit}",
                f"{old:,.3g}" if old < 1000 else f"{old:,.0f}",
                f"{new:,.3g}" if new < 1000 else f"{new:,.0f}",
                f"{ratio.estimate:.3f}",
                f"{ratio.low:.3f} to {ratio.high:.3f}",
                f"±{100 * ratio.resolution:.1f} %",
                verdict(ratio, margin),
            ]
        )
    return page.table(head, lines)
