"""The fleet at one moment: the backlog, the rate and the times of each queue, and the live workers."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property

from redis import Redis

from gristmill.batches.histogram import quantile
from gristmill.batches.info import BatchInfo, State
from gristmill.batches.info_cache import InfoCache
from gristmill.batches.ledger import Ledger
from gristmill.config.names import KINDS
from gristmill.config.settings import Settings
from gristmill.fleet.backlog import Backlog
from gristmill.fleet.buckets import Buckets
from gristmill.fleet.meters import Meters
from gristmill.fleet.outlook import Outlooks
from gristmill.fleet.queue_history import NOTHING, SECONDS, SLOW_SECONDS, QueueHistory, QueueSecond, by_queue
from gristmill.fleet.queue_now import QueueNow, Times
from gristmill.fleet.registry import LiveWorker, WorkerRegistry
from gristmill.fleet.running_items import RunningItem, RunningItems
from gristmill.server.rights import refused_commands

#: The quantiles that pages and commands show.
QUANTILES = (0.5, 0.95, 0.99)

#: The kind of the tasks that each pool suits.
KIND_OF_POOL = {"prefork": "cpu", "threads": "io"}


@dataclass(frozen=True, slots=True)
class Overview:
    """The fleet at one moment; `at` is the server's Unix time in seconds."""

    at: float
    queues: list[QueueNow]
    workers: list[LiveWorker]
    batches: list[BatchInfo]


class Observer:
    """Observes the fleet on one server, as `client` reaches it, with the key prefix of `settings`."""

    def __init__(self, client: Redis, settings: Settings) -> None:
        self.client, self.settings = client, settings
        self.fleet = WorkerRegistry(client, settings)
        self.meters = Meters(client, settings)
        self.running_items = RunningItems(client, settings)
        self.outlooks = Outlooks(client, settings)
        self.ledger = Ledger(client, settings)
        #: The batches that had not ended when this observer last read them.
        self.batches = InfoCache(client, settings)
        self._seconds: Buckets[dict[str, QueueSecond]] = Buckets(self.meters, 1, by_queue)

    @cached_property
    def may_write(self) -> bool:
        """Whether the user of the server may change batches."""
        return not refused_commands(self.client, self.settings.prefix, ("HDEL k 0",))

    def sample(self) -> float:
        """Sample the queues and do what has come due, unless the user of the server may only read.

        Returns the server's Unix time in seconds.
        """
        return self.meters.heartbeat() if self.may_write else self.meters.now()

    def look(self) -> Overview:
        """The fleet now; also samples the queues, because without workers nobody else does."""
        at = self.sample()
        seconds = self._seconds.read(range(int(at) - SECONDS, int(at) + 1), at)
        batches = self.batches.active()
        workers = self.fleet.workers()
        last = next((second for second in reversed(seconds) if any(one.gauges for one in second.values())), {})
        names = sorted({*KINDS, *last, *(worker.queue for worker in workers)})
        histories = {name: QueueHistory([second.get(name, NOTHING) for second in seconds[:-1]]) for name in names}
        means = {batch.name: batch.mean for batch in batches if batch.left and batch.done and batch.mean}
        running = self._running(histories, last, workers)
        of_queues = {name: list[BatchInfo]() for name in names}
        for batch in batches:
            of_queues.get(batch.queue, []).append(batch)
        queues = [
            measure(
                name,
                histories[name],
                last.get(name, NOTHING).gauges,
                workers,
                Backlog.of(name, mine, histories[name], means, running),
                mine,
            )
            for name, mine in of_queues.items()
        ]
        return Overview(at, queues, workers, batches)

    def _running(
        self, histories: Mapping[str, QueueHistory], last: Mapping[str, QueueSecond], workers: Sequence[LiveWorker]
    ) -> list[RunningItem]:
        """The items that have run for a second or longer, if that matters: where items are slow, or none has ended."""
        busy = {worker.queue for worker in workers if worker.busy}
        slow = [name for name in busy if not histories[name].mean or histories[name].length >= SLOW_SECONDS]
        if not any(last.get(name, NOTHING).gauges.get("left") for name in slow):
            return []
        return self.running_items.look(inputs=False)


def measure(
    name: str,
    history: QueueHistory,
    gauges: Mapping[str, float],
    workers: Sequence[LiveWorker],
    backlog: Backlog,
    batches: Sequence[BatchInfo],
) -> QueueNow:
    """A queue now, from its last minutes, the last samples (`gauges`), the live workers and the batches."""
    mine = [worker for worker in workers if worker.queue == name]
    left, slots = round(gauges.get("left", 0)), sum(worker.slots for worker in mine)
    on_hold = round(gauges.get("held", 0))
    # The states are newer than the sample.
    paused = min(on_hold, sum(batch.left for batch in batches if batch.queue == name and batch.state is State.PAUSED))
    waits, runs = history.times
    return QueueNow(
        name=name,
        left=left,
        paused=paused,
        waiting=on_hold - paused,
        oldest=gauges.get("oldest", 0.0),
        rate=history.rate,
        failing=history.failing,
        arrivals=history.arrivals,
        seconds=history.mean,
        used=history.used,
        speed=history.speed,
        steady=history.steady,
        ended=history.ended,
        doubt=backlog.doubt,
        work=backlog.work(left),
        longest=backlog.longest(max(1, left)),
        ends=backlog.ends(left),
        over_limit=sum(batch.left for batch in backlog.over_limit),
        hold=next((batch.hold for batch in backlog.over_limit), ""),
        held_seconds=backlog.held_seconds(),
        slots=slots,
        busy=sum(worker.busy for worker in mine),
        workers=len(mine),
        submitting=any(batch.queue == name and batch.state is State.SUBMITTING for batch in batches),
        wait=quantiles(waits),
        run=quantiles(runs),
        kind=_kind(name, mine, batches),
    )


def _kind(queue: str, workers: Sequence[LiveWorker], batches: Sequence[BatchInfo]) -> str:
    if queue in KINDS:
        return queue
    pools = {worker.pool for worker in workers} & KIND_OF_POOL.keys()
    return next(
        (KIND_OF_POOL[pool] for pool in pools), next((batch.kind for batch in batches if batch.queue == queue), "")
    )


def quantiles(counts: dict[int, int]) -> Times:
    """The values of QUANTILES in a histogram, in seconds."""
    return tuple(quantile(counts, share) for share in QUANTILES)
