"""The goals: ratios between rows of one run with their intervals, and whether they are reached."""

import statistics
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from benchmarks.ab.interval import FEWEST, Interval, paired
from benchmarks.peers.catalog import PEERS
from benchmarks.peers.comparison import Comparison
from benchmarks.peers.peer import Peer

BATCHES, PLAIN = "Gristmill, batches", "Gristmill, plain messages"
STOCK = "Celery, threads"
POOL, THREADS = "multiprocessing.Pool", "ThreadPoolExecutor"

Which = Callable[[Peer], bool]
Pick = Callable[[Sequence[float]], float]


@dataclass(frozen=True, slots=True)
class Goal:
    """Something to be `at least` or at most a limit; `values` has one of each round, `key` is its short name."""

    key: str
    text: str
    limit: float
    values: Callable[[Comparison], Sequence[float]]
    at_least: bool = True
    unit: str = "×"

    @property
    def bound(self) -> str:
        """What is allowed."""
        return f"{'≥' if self.at_least else '≤'} {self.limit:g}{self.unit}"

    def measured(self, comparison: Comparison) -> Interval | None:
        """The estimate with its interval, without one the median with no width; None: not measured."""
        values = self.values(comparison)
        if not values:
            return None
        if len(values) >= FEWEST and min(values) > 0:
            return paired(values)
        return Interval(*[statistics.median(values)] * 3)

    def reached(self, comparison: Comparison) -> bool | None:
        """Whether the whole interval is on the right side of the limit; None: it is on both, or not measured."""
        measured = self.measured(comparison)
        return None if measured is None else measured.keeps(self.limit, at_least=self.at_least)


def _plain(peer: Peer) -> bool:
    return peer.name.startswith(PLAIN)


def _batches(peer: Peer) -> bool:
    return peer.name.startswith(BATCHES)


def _by_message(peer: Peer) -> bool:
    return not peer.is_ours and peer.lot == 1


def _keeps(peer: Peer) -> bool:
    return _by_message(peer) and peer.keeps


def _by_hand(peer: Peer) -> bool:
    return peer.lot > 1


def _stock(peer: Peer) -> bool:
    return peer.name == STOCK


def _ratios(
    ours: tuple[Which, str], others: tuple[Which, str], pick: Pick = max
) -> Callable[[Comparison], Sequence[float]]:
    """A figure of our best row over one of the best of the others, round by round; among servers, where we do worst."""

    def values(comparison: Comparison) -> Sequence[float]:
        groups: list[list[float]] = []
        for redis in {peer.redis for peer in PEERS}:
            here = [peer for peer in PEERS if peer.redis == redis]
            mine, theirs = (_best(comparison, here, *side, pick) for side in (ours, others))
            if mine and theirs:
                groups.append(comparison.ratios((mine, ours[1]), (theirs, others[1]), "noop"))
        worst = min if pick is max else max
        return worst(filter(None, groups), key=statistics.median, default=[])

    return values


def _best(comparison: Comparison, peers: Sequence[Peer], which: Which, figure: str, pick: Pick) -> str | None:
    medians = {peer.name: comparison.median(peer.name, "noop", figure) for peer in peers if which(peer)}
    measured = {name: median for name, median in medians.items() if median is not None}
    return next((name for name, median in measured.items() if median == pick(list(measured.values()))), None)


def _paired(row: str, other: str, workload: str) -> Callable[[Comparison], Sequence[float]]:
    """One row's rate over another's, round by round: they are played one after the other."""
    return lambda comparison: comparison.ratios((row, "through"), (other, "through"), workload)


def _worst(which: Which, figure: str) -> Callable[[Comparison], Sequence[float]]:
    """The most that one of ours has."""

    def values(comparison: Comparison) -> Sequence[float]:
        name = _best(comparison, [peer for peer in PEERS if peer.is_ours], which, figure, max)
        return comparison.values(name, "noop", figure) if name else []

    return values


def _ours(_: Peer) -> bool:
    return True


def _forked(peer: Peer) -> bool:
    return "cpu" in peer.workers


GOALS = (
    Goal(
        "keeps",
        "plain messages: finish, to the fastest peer that keeps what a killed worker had",
        2.5,
        _ratios((_plain, "finish"), (_keeps, "finish")),
    ),
    Goal(
        "fastest",
        "plain messages: finish, to the fastest peer",
        1.5,
        _ratios((_plain, "finish"), (_by_message, "finish")),
    ),
    Goal("stock", "plain messages: finish, to stock threads", 5, _ratios((_plain, "finish"), (_stock, "finish"))),
    Goal(
        "enqueue",
        "plain messages: enqueue of a list, to the fastest peer",
        3,
        _ratios((_plain, "enqueue"), (_by_message, "enqueue")),
    ),
    Goal(
        "batch",
        "a batch of no-ops, submitted to recorded, to the finish of the fastest peer that gets them one by one",
        40,
        _ratios((_batches, "through"), (_by_message, "finish")),
    ),
    Goal(
        "by_hand",
        "a batch of no-ops, to the finish of the fastest peer that gets 800 in a message",
        1,
        _ratios((_batches, "through"), (_by_hand, "finish")),
    ),
    Goal(
        "cpu", "CPU: seconds of a batch, to `Pool.imap_unordered`", 1.03, _paired(POOL, BATCHES, "cpu"), at_least=False
    ),
    Goal(
        "waits",
        "waits: seconds of a batch, to `ThreadPoolExecutor`",
        1.05,
        _paired(THREADS, BATCHES, "wait"),
        at_least=False,
    ),
    Goal(
        "p50",
        "submit to start at light load, p50, to the best peer's",
        1,
        _ratios((_plain, "p50"), (_by_message, "p50"), min),
        at_least=False,
    ),
    Goal(
        "p99",
        "submit to start at light load, p99, to the best peer's",
        1,
        _ratios((_plain, "p99"), (_by_message, "p99"), min),
        at_least=False,
    ),
    Goal("idle", "an idle worker, of a core", 0.3, _worst(_ours, "idle"), at_least=False, unit=" %"),
    Goal("slot", "memory of a process slot after 1,000 tasks", 8, _worst(_forked, "slot"), at_least=False, unit=" MB"),
)
