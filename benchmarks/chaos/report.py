"""What the runs say: a line as each ends, and a Markdown table of all."""

from collections.abc import Callable

from benchmarks.chaos.count import Count
from benchmarks.quantile import quantile

_COLUMNS: dict[str, Callable[[Count], str]] = {
    "scenario": lambda count: count.scenario,
    "pool": lambda count: count.pool,
    "transport": lambda count: count.transport,
    "kills": lambda count: f"{count.kills:,}",
    "tasks": lambda count: f"{count.submitted:,}",
    "lost": lambda count: f"{count.lost:,}",
    "left": lambda count: f"{count.left:,}",
    "dead": lambda count: f"{count.dead:,}",
    "begun again": lambda count: f"{count.redelivered:,}",
    "run twice": lambda count: f"{count.duplicates:,}",
    "back, median s": lambda count: _seconds(count.median),
    "back, p99 s": lambda count: _seconds(quantile(count.recoveries, 0.99) if count.recoveries else None),
    "back, worst s": lambda count: _seconds(count.worst),
    "took, s": lambda count: f"{count.seconds:.0f}",
}


def _seconds(value: float | None) -> str:
    return "" if value is None else f"{value:.2f}"


def verdict(count: Count) -> str:
    """One word or more on a run; `weak`: stock kombu lost nothing either, so that the same run proves little."""
    if count.broken:
        return "; ".join(count.broken)
    if count.transport == "ours":
        # What may lose something is a control.
        return "ok, it has to lose some" if count.lost else "ok"
    lost = f"{count.lost} lost" if count.lost else "weak: stock lost nothing"
    return f"{lost}; {count.not_back} not back" if count.not_back else lost


def line(count: Count) -> str:
    """One run on one line."""
    parts = [f"{name} {show(count)}" for name, show in list(_COLUMNS.items())[3:] if show(count)]
    return f"{count.scenario}, {count.pool}, {count.transport}: {', '.join(parts)}: {verdict(count)}"


def table(counts: list[Count]) -> str:
    """All runs as a Markdown table."""
    rows = [[*_COLUMNS, "verdict"], ["---"] * (len(_COLUMNS) + 1)]
    rows += [[*(show(count) for show in _COLUMNS.values()), verdict(count)] for count in counts]
    return "\n".join(f"| {' | '.join(row)} |" for row in rows)
