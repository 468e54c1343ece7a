"""The picture: what each row finishes and enqueues per second, on a logarithmic scale."""

import math
from html import escape

from benchmarks.peers.comparison import Comparison

WIDTH, LEFT, RIGHT, TOP, STEP = 860, 250, 40, 60, 30
#: Figure, what it is called, colour.
SERIES = (("finish", "finished", "#1f6f8b"), ("enqueue", "enqueued", "#d9822b"))
LOW, HIGH = 2, 7
STYLE = "text{font:13px sans-serif;fill:#222}line{stroke:#ddd}rect{fill:#fff}"


def _x(value: float) -> float:
    share = (math.log10(max(value, 10**LOW)) - LOW) / (HIGH - LOW)
    return LEFT + min(share, 1.0) * (WIDTH - LEFT - RIGHT)


def svg(comparison: Comparison) -> str:
    """A dot for each median, a line from the least to the most; rows without either figure are left out."""
    rows = [name for name in comparison if any(comparison.values(name, "noop", figure) for figure, _, _ in SERIES)]
    height = TOP + STEP * len(rows) + 30
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {height}" role="img">',
        "<title>No-ops per second by peer</title>",
        f"<style>{STYLE}</style>",
        f'<rect width="{WIDTH}" height="{height}"/>',
    ]
    for power in range(LOW, HIGH + 1):
        x = _x(10**power)
        parts.append(f'<line x1="{x:.0f}" x2="{x:.0f}" y1="{TOP - 12}" y2="{height - 30}"/>')
        parts.append(f'<text x="{x:.0f}" y="{height - 10}" text-anchor="middle">{10**power:,}</text>')
    for place, (_, called, colour) in enumerate(SERIES):
        x = LEFT + 150 * place
        parts.append(f'<circle cx="{x}" cy="22" r="5" fill="{colour}"/><text x="{x + 10}" y="26">{called}/s</text>')
    for number, name in enumerate(rows):
        y = TOP + STEP * number + 8
        parts.append(f'<text x="{LEFT - 14}" y="{y + 4}" text-anchor="end">{escape(name)}</text>')
        parts += [_dot(comparison, name, y, figure, colour) for figure, _, colour in SERIES]
    return "\n".join([*filter(None, parts), "</svg>\n"])


def _dot(comparison: Comparison, name: str, y: int, figure: str, colour: str) -> str:
    values, middle = comparison.values(name, "noop", figure), comparison.median(name, "noop", figure)
    if middle is None:
        return ""
    least, most = _x(values[0]), _x(values[-1])
    line = f'<line x1="{least:.1f}" x2="{most:.1f}" y1="{y}" y2="{y}" style="stroke:{colour};stroke-width:2"/>'
    return f'{line}<circle cx="{_x(middle):.1f}" cy="{y}" r="5" fill="{colour}"/>'
