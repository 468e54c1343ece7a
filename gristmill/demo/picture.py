"""The rows of `compare` as a picture. Needs matplotlib."""

from collections.abc import Sequence
from pathlib import Path

from matplotlib.figure import Figure

from gristmill.demo.row import Row
from gristmill.demo.way import PROCESS_WORKER, THREAD_WORKER

#: Colours of bars for workers and for other ways, which colour-blind readers tell apart (Okabe and Ito, 2008).
_WORKERS, _OTHERS = "#0072B2", "#999999"


def draw(rows: Sequence[Row], path: Path) -> None:
    """Draw a panel for each work, with a bar for each way, as SVG or PNG by the suffix of `path`.

    Raises:
        OSError: the file cannot be written.
    """
    works = list(dict.fromkeys(row.work.title for row in rows))
    figure = Figure(figsize=(9, 0.5 + 1.9 * len(works)), layout="constrained")
    panels = figure.subplots(len(works), 1, squeeze=False)[:, 0]
    for panel, work in zip(panels, works, strict=True):
        panel_rows = [row for row in rows if row.work.title == work]
        colours = [_WORKERS if row.way.name in (THREAD_WORKER, PROCESS_WORKER) else _OTHERS for row in panel_rows]
        bars = panel.barh(
            [row.way.label for row in panel_rows], [row.measurement.seconds for row in panel_rows], color=colours
        )
        labels = [f"{row.measurement.seconds:.2f} s  ({row.speedup:.1f}×, {row.cores:.1f} cores)" for row in panel_rows]
        panel.bar_label(bars, labels, padding=4, fontsize=9)
        panel.invert_yaxis()
        panel.set_title(work, loc="left", fontsize=10, fontweight="bold")
        panel.set_xlim(0, 1.45 * max(row.measurement.seconds for row in panel_rows))
        panel.spines[["top", "right"]].set_visible(False)
    panels[-1].set_xlabel("seconds, less is better")
    figure.savefig(path, dpi=120)
