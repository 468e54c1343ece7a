"""The goals: ratios between rows of one run, and whether they are reached."""

import statistics
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from benchmarks.peers.catalog import PEERS
from benchmarks.peers.comparison import Comparison

BATCHES = "Gristmill, batches"
STOCK = "Celery, threads"
OURS = [peer.name for peer in PEERS if peer.package is None]
PLAIN = [name for name in OURS if name != BATCHES]
#: Ours with a pool of processes.
FORKED = [BATCHES, "Gristmill, plain messages, prefork"]
OTHERS = [peer.name for peer in PEERS if peer.package is not None]
POOL, THREADS = "multiprocessing.Pool", "ThreadPoolExecutor"


@dataclass(frozen=True, slots=True)
class Goal:
    """Something to be `at least` or at most a limit."""

    text: str
    limit: float
    value: Callable[[Comparison], float | None]
    at_least: bool = True
    unit: str = "×"

    def reached(self, comparison: Comparison) -> bool | None:
        """Whether it is; None: what it needs was not measured."""
        value = self.value(comparison)
        return None if value is None else value >= self.limit if self.at_least else value <= self.limit


Pick = Callable[[Sequence[float]], float]


def _ratio(
    ours: tuple[Sequence[str], str, str], others: tuple[Sequence[str], str, str], pick: Pick = max
) -> Callable[[Comparison], float | None]:
    """Our best row's figure over the best of the others; each names rows, workload and figure."""

    def value(comparison: Comparison) -> float | None:
        mine, theirs = comparison.medians(*ours), comparison.medians(*others)
        return pick(mine) / pick(theirs) if mine and theirs and pick(theirs) else None

    return value


def _paired(row: str, other: str, workload: str) -> Callable[[Comparison], float | None]:
    """One row's rate over another's, the median of the rounds' ratios: they are played one after the other."""

    def value(comparison: Comparison) -> float | None:
        ratios = comparison.ratios(row, other, workload, "through")
        return statistics.median(ratios) if ratios else None

    return value


def _worst(rows: Sequence[str], figure: str) -> Callable[[Comparison], float | None]:
    """The most that one of ours has."""
    return lambda comparison: max(comparison.medians(rows, "noop", figure), default=None)


GOALS = (
    Goal(
        "plain messages: finish, to the fastest peer", 1, _ratio((PLAIN, "noop", "finish"), (OTHERS, "noop", "finish"))
    ),
    Goal("plain messages: finish, to stock threads", 5, _ratio((PLAIN, "noop", "finish"), ([STOCK], "noop", "finish"))),
    Goal(
        "plain messages: enqueue of a list, to the fastest peer",
        3,
        _ratio((PLAIN, "noop", "enqueue"), (OTHERS, "noop", "enqueue")),
    ),
    Goal(
        "a batch of no-ops, submitted to recorded, to the fastest peer's finish",
        25,
        _ratio(([BATCHES], "noop", "through"), (OTHERS, "noop", "finish")),
    ),
    Goal(
        "CPU: seconds of a batch, to `Pool.imap_unordered`",
        1.03,
        _paired(POOL, BATCHES, "cpu"),
        at_least=False,
    ),
    Goal(
        "waits: seconds of a batch, to `ThreadPoolExecutor`",
        1.05,
        _paired(THREADS, BATCHES, "wait"),
        at_least=False,
    ),
    Goal(
        "submit to start at light load, p50, to the best peer's",
        1,
        _ratio((PLAIN, "noop", "p50"), (OTHERS, "noop", "p50"), min),
        at_least=False,
    ),
    Goal("an idle worker, of a core", 0.5, _worst(OURS, "idle"), at_least=False, unit=" %"),
    Goal("memory of a process slot after 1,000 tasks", 10, _worst(FORKED, "slot"), at_least=False, unit=" MB"),
)
