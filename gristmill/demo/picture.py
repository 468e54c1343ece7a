"""The rows of `compare` as a picture. Needs matplotlib."""

from collections.abc import Sequence
from pathlib import Path

from matplotlib.figure import Figure

from gristmill.demo.row import Row
from gristmill.demo.way import PROCESS_WORKER, THREAD_WORKER

#: Told apart by the colour-blind (Okabe and Ito, 2008): what runs on workers, and what does not.
_WORKERS, _OTHERS = "#0072B2", "#999999"


def draw(rows: Sequence[Row], path: Path) -> None:
    """Draw a panel a work, a bar a way, with its seconds, speed-up and busy cores; as SVG or PNG, by the suffix.

    Raises:
        OSError: the file cannot be written.
    """
    works = list(dict.fromkeys(row.work.title for row in rows))
    figure = Figure(figsize=(9, 0.5 + 1.9 * len(works)), layout="constrained")
    panels = figure.subplots(len(works), 1, squeeze=False)[:, 0]
    for panel, work in zip(panels, works, strict=True):
        chosen = [row for row in rows if row.work.title == work]
        colours = [_WORKERS if row.way.name in (THREAD_WORKER, PROCESS_WORKER) else _OTHERS for row in chosen]
        bars = panel.barh([row.way.label for row in chosen], [row.took.seconds for row in chosen], color=colours)
        labels = [f"{row.took.seconds:.2f} s  ({row.speedup:.1f}×, {row.cores:.1f} cores)" for row in chosen]
        panel.bar_label(bars, labels, padding=4, fontsize=9)
        panel.invert_yaxis()
        panel.set_title(work, loc="left", fontsize=10, fontweight="bold")
        panel.set_xlim(0, 1.45 * max(row.took.seconds for row in chosen))
        panel.spines[["top", "right"]].set_visible(False)
    panels[-1].set_xlabel("seconds, less is better")
    figure.savefig(path, dpi=120)
