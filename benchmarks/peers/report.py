"""A comparison as text in Markdown."""

import statistics
from collections.abc import Sequence

from benchmarks import page
from benchmarks.ab.interval import Interval
from benchmarks.peers.comparison import Comparison
from benchmarks.peers.goals import GOALS
from benchmarks.peers.limits import Ceiling
from benchmarks.peers.peer import EVERYSEC, WORK, Peer

#: Columns of no-ops: heading, figure, decimals.
NOOPS = (
    ("enqueue/s", "enqueue", 0),
    ("finish/s", "finish", 0),
    ("end to end/s", "through", 0),
    ("p50, ms", "p50", 1),
    ("p99, ms", "p99", 1),
    ("CPU of a task, µs", "cpu", 0),
    ("idle, % of a core", "idle", 1),
    ("a slot, MB", "slot", 1),
    ("all, MB", "memory", 0),
)
#: What is known of those on servers that flush once a second.
DRAINED = tuple(column for column in NOOPS if column[1] in ("enqueue", "finish", "cpu"))
TASKS = (("10 ms of CPU", "cpu"), ("100 ms of waiting", "wait"))
NONE = "–"


def median_text(values: Sequence[float], decimals: int) -> str:
    """The median, and in brackets the least and the most."""
    if not values:
        return NONE
    least, middle, most = (f"{value:,.{decimals}f}" for value in (min(values), statistics.median(values), max(values)))
    return middle if least == most else f"{middle} ({least} to {most})"


def noops(comparison: Comparison, workload: str = "noop", columns: Sequence[tuple[str, str, int]] = NOOPS) -> str:
    """The table of no-ops."""
    rows = [
        [name, *(median_text(comparison.values(name, workload, figure), decimals) for _, figure, decimals in columns)]
        for name in comparison
        if any(comparison.values(name, workload, figure) for _, figure, _ in columns)
    ]
    return page.table(["", *(heading for heading, _, _ in columns)], rows)


def work(comparison: Comparison) -> str:
    """The table of tasks that do something."""
    head = ["", *(f"{heading}: {what}" for heading, _ in TASKS for what in ("tasks/s", "CPU of a task, ms"))]
    rows = []
    for name in comparison:
        row = [name]
        for _, workload in TASKS:
            used = [value / 1000 for value in comparison.values(name, workload, "cpu")]
            row += [median_text(comparison.values(name, workload, "through"), 0), median_text(used, 1)]
        if set(row[1:]) != {NONE}:
            rows.append(row)
    return page.table(head, rows)


def goals(comparison: Comparison) -> str:
    """The table of the goals."""
    rows = []
    for goal in GOALS:
        measured, reached = goal.measured(comparison), goal.reached(comparison)
        text = NONE if measured is None else _interval(measured, goal.unit)
        unknown = "not measured" if measured is None else "the interval has both"
        between = " / ".join(goal.values.rows(comparison)) or NONE
        rows.append([goal.text, goal.bound, text, {None: unknown, True: "yes", False: "**no**"}[reached], between])
    return page.table(["goal", "allowed", "measured (95 % interval)", "reached", "rows"], rows)


def _interval(measured: Interval, unit: str) -> str:
    text = f"{measured.estimate:.2f}{unit}"
    return text if measured.low == measured.high else f"{text} ({measured.low:.2f} to {measured.high:.2f})"


def settings(rows: Sequence[Peer | Ceiling], comparison: Comparison) -> str:
    """The table of how each was run and what it promises then."""
    lines = []
    for row in rows:
        if isinstance(row, Peer):
            commands = "<br>".join(dict.fromkeys(row.text(each) for each in WORK if each in row.workers))
            lines.append([row.name, row.versions, commands, row.put, row.guarantee])
        else:
            lines.append([row.name, row.versions, row.called, NONE, row.guarantee])
    text = page.table(["", "versions", "workers", "a list is put with", "guaranteed"], lines)
    failures = "".join(f"- {name}: {why}\n" for name, why in comparison.failures.items())
    return text + (f"\nNot measured, or not in every round:\n\n{failures}" if failures else "")


def tables(comparison: Comparison, command: str) -> str:
    """What was measured, and whether the goals are reached."""
    parts = (
        ("Goals", goals(comparison)),
        ("No-ops, on servers that flush each answer to disk", noops(comparison)),
        ("No-ops, on servers that flush once a second", noops(comparison, EVERYSEC, DRAINED)),
        ("Work: the workers are up when a list is put; tasks per second, first put to last done", work(comparison)),
    )
    head = f"`{command}`: up to {comparison.rounds} rounds, {page.machine()}\n"
    return "\n".join([head, *(f"**{title}**\n\n{text}" for title, text in parts)])
