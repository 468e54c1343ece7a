"""What the runs say: a line as each ends, a Markdown table of all, and a histogram of each that measures a time."""

from collections import Counter
from collections.abc import Callable

from benchmarks.chaos.count import Count
from benchmarks.quantile import quantile

#: The scenarios that have a histogram; the upper ends of its bars, in seconds, and characters of the longest.
HISTOGRAMS = {"recovery"}
BARS = (0.25, 0.5, 0.6, 0.7, 0.8, 0.9, 1.0, 1.5, 2.0, 5.0, 10.0, 20.0, 25.0, 30.0, 60.0, 120.0)
WIDTH = 40

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


def histograms(counts: list[Count]) -> str:
    """A block of Markdown for each run that has a histogram; empty if none has."""
    runs = [each for each in counts if each.scenario in HISTOGRAMS and each.recoveries]
    return "\n\n".join(
        f"```text\n{each.scenario}, {each.pool}, {each.transport}\n{histogram(each.recoveries)}\n```" for each in runs
    )


def histogram(seconds: list[float]) -> str:
    """The seconds of all recoveries as bars, below their median, 99th percentile and worst."""
    bars = Counter(next((bar for bar in BARS if value <= bar), float("inf")) for value in seconds)
    most = max(bars.values())
    head = (
        f"back after: median {quantile(seconds, 0.5):.2f} s, p99 {quantile(seconds, 0.99):.2f} s, "
        f"worst {max(seconds):.2f} s, of {len(seconds)} kills"
    )
    lines = [f"<= {bar:6.2f} s {bars[bar]:6d} {'#' * round(WIDTH * bars[bar] / most)}".rstrip() for bar in sorted(bars)]
    return "\n".join([head, *lines])
