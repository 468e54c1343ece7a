"""The goals: ratios between rows of one run with their intervals, and whether they are reached."""

import statistics
from dataclasses import dataclass, replace

from benchmarks.ab.interval import FEWEST, Interval, paired
from benchmarks.peers.catalog import REDIS_8
from benchmarks.peers.compared import BestToBest, Compared, Most, Pair, Side
from benchmarks.peers.comparison import Comparison
from benchmarks.peers.peer import EVERYSEC, Peer

BATCHES, PLAIN = "Gristmill, batches", "Gristmill, plain messages"
STOCK = "Celery, threads"
POOL, THREADS = "multiprocessing.Pool", "ThreadPoolExecutor"


@dataclass(frozen=True, slots=True)
class Goal:
    """Something to be `at least` or at most a limit; `values` has one of each round, `key` is its short name."""

    key: str
    text: str
    limit: float
    values: Compared
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
    return peer.name.startswith(BATCHES) and peer.lot == 1


def _packed(peer: Peer) -> bool:
    return peer.is_ours and peer.lot > 1


def _by_message(peer: Peer) -> bool:
    return not peer.is_ours and peer.lot == 1


def _keeps(peer: Peer) -> bool:
    return _by_message(peer) and peer.keeps


def _by_hand(peer: Peer) -> bool:
    return not peer.is_ours and peer.lot > 1


def _stock(peer: Peer) -> bool:
    return peer.name == STOCK


def _ours(_: Peer) -> bool:
    return True


def _forked(peer: Peer) -> bool:
    return "cpu" in peer.workers


_ON_OUR_SERVER = (
    Goal(
        "keeps",
        "plain messages: finish, to the fastest peer that keeps what a killed worker had",
        2.5,
        BestToBest(Side(_plain, "finish"), Side(_keeps, "finish")),
    ),
    Goal(
        "fastest",
        "plain messages: finish, to the fastest peer of all",
        1.5,
        BestToBest(Side(_plain, "finish"), Side(_by_message, "finish")),
    ),
    Goal(
        "everysec",
        "plain messages: finish, to the fastest peer, on servers that flush once a second",
        1.5,
        BestToBest(Side(_plain, "finish"), Side(_by_message, "finish"), workload=EVERYSEC),
    ),
    Goal(
        "enqueue",
        "plain messages: enqueue of a list, to the fastest peer",
        3,
        BestToBest(Side(_plain, "enqueue"), Side(_by_message, "enqueue")),
    ),
    Goal(
        "batch",
        "a batch of no-ops, submitted to recorded, to the finish of the fastest peer that gets them one by one",
        40,
        BestToBest(Side(_batches, "through"), Side(_by_message, "finish")),
    ),
    Goal(
        "p50",
        "submit to start at light load, p50, to the best peer's",
        1,
        BestToBest(Side(_plain, "p50"), Side(_by_message, "p50"), min),
        at_least=False,
    ),
    Goal(
        "p99",
        "submit to start at light load, p99, to the best peer's",
        1,
        BestToBest(Side(_plain, "p99"), Side(_by_message, "p99"), min),
        at_least=False,
    ),
)
#: The same beside the peers that need this version.
_ON_REDIS_8 = tuple(
    replace(
        goal,
        key=f"{goal.key}_8",
        text=f"{goal.text}, on Redis 8.6",
        values=replace(goal.values, redis=REDIS_8),
    )
    for goal in _ON_OUR_SERVER
    if isinstance(goal.values, BestToBest)
)
GOALS = (
    *_ON_OUR_SERVER,
    Goal(
        "stock",
        "plain messages: finish, to stock threads",
        5,
        BestToBest(Side(_plain, "finish"), Side(_stock, "finish")),
    ),
    Goal(
        "by_hand",
        "a batch of no-ops, end to end, to the fastest peer that gets 800 in a message",
        1,
        BestToBest(Side(_batches, "through"), Side(_by_hand, "through")),
    ),
    Goal(
        "packed",
        "no-ops that a user has packed on both sides, 800 each, end to end, to the fastest peer",
        1,
        BestToBest(Side(_packed, "through"), Side(_by_hand, "through")),
    ),
    Goal("cpu", "CPU: seconds of a batch, to `Pool.imap_unordered`", 1.03, Pair(POOL, BATCHES, "cpu"), at_least=False),
    Goal(
        "waits",
        "waits: seconds of a batch, to `ThreadPoolExecutor`",
        1.05,
        Pair(THREADS, BATCHES, "wait"),
        at_least=False,
    ),
    Goal("idle", "an idle worker, of a core", 0.3, Most(_ours, "idle"), at_least=False, unit=" %"),
    Goal("slot", "memory of a process slot after 1,000 tasks", 8, Most(_forked, "slot"), at_least=False, unit=" MB"),
    *_ON_REDIS_8,
)
