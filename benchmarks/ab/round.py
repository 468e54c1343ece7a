"""A round: both sides live at once and are measured by turns."""

import random
import statistics
from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass

from benchmarks.ab.checkout import Checkout
from benchmarks.ab.visit import MEASURES, Figures, Measure, VisitSize, visit

SIDES = ("old", "new")


@dataclass(frozen=True, slots=True)
class BothSides:
    """The medians of each side over the turns of a round, and the median of the turns' ratios, new to old."""

    old: Figures
    new: Figures
    ratios: Figures


def order(turns: int, luck: random.Random) -> list[tuple[str, ...]]:
    """The order of the sides in each turn: one and the other, then the other way round, and so on."""
    first = SIDES if luck.random() < 0.5 else SIDES[::-1]
    return [first if turn % 2 == 0 else first[::-1] for turn in range(turns)]


def play(
    sides: Mapping[str, Checkout], size: VisitSize, luck: random.Random, measures: Sequence[Measure] = MEASURES
) -> BothSides:
    """Start both sides, and measure them.

    Raises:
        RuntimeError: a program does not start, or fails.
        Stalled: plain tasks were sent and are not done.
    """
    samples: dict[str, dict[str, list[float]]] = {name: {} for name in SIDES}
    with ExitStack() as stack:
        (starts,) = order(1, luck)
        visits = {name: stack.enter_context(visit(sides[name])) for name in starts}
        for name in starts:
            visits[name].settle()
        for measure in measures:
            for turn in order(size.turns if measure.repeated else 1, luck):
                for name in turn:
                    values = measure.of(visits[name], size)
                    for figure, value in zip(measure.figures, values, strict=True):
                        samples[name].setdefault(figure.name, []).append(value)
    old, new = samples["old"], samples["new"]
    ratios = {
        name: statistics.median(after / before for before, after in zip(old[name], new[name], strict=True))
        for name in old
    }
    return BothSides(_medians(old), _medians(new), ratios)


def _medians(samples: dict[str, list[float]]) -> Figures:
    return {name: statistics.median(values) for name, values in samples.items()}
