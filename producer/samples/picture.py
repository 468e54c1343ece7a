"""The rows of `compare` as a picture. Needs matplotlib."""

from collections.abc import Sequence
from pathlib import Path
from typing import Protocol

from matplotlib.figure import Figure


class Row(Protocol):
    """What is drawn of a row."""

    @property
    def work(self) -> str: ...
    @property
    def way(self) -> str: ...
    @property
    def seconds(self) -> float: ...
    @property
    def speedup(self) -> float: ...


#: Told apart by the colour-blind (Okabe and Ito, 2008): what runs on workers, and what does not.
_WORKERS, _OTHERS = "#0072B2", "#999999"


def draw(rows: Sequence[Row], path: Path) -> None:
    """Draw a panel a kind of work, a bar a way, with its seconds and speed-up; as SVG or PNG, by the suffix."""
    works = list(dict.fromkeys(row.work for row in rows))
    figure = Figure(figsize=(9, 1.1 + 1.75 * len(works)), layout="constrained")
    panels = figure.subplots(len(works), 1, squeeze=False)[:, 0]
    for panel, work in zip(panels, works, strict=True):
        chosen = [row for row in rows if row.work == work]
        colours = [_WORKERS if "worker" in row.way else _OTHERS for row in chosen]
        bars = panel.barh([row.way for row in chosen], [row.seconds for row in chosen], color=colours)
        labels = [f"{row.seconds:.2f} s  ({row.speedup:.1f}×)" for row in chosen]
        panel.bar_label(bars, labels, padding=4, fontsize=9)
        panel.invert_yaxis()
        panel.set_title(work, loc="left", fontsize=10, fontweight="bold")
        panel.set_xlim(0, 1.25 * max(row.seconds for row in chosen))
        panel.spines[["top", "right"]].set_visible(False)
    panels[-1].set_xlabel("seconds, less is better")
    figure.savefig(path, dpi=120)
