"""The fleet at one moment: the backlog, the rate and the times of each queue, and the live workers."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import cast

from redis import Redis

from gristmill.batches.histogram import quantile
from gristmill.batches.info import BatchInfo, State
from gristmill.batches.ledger import Ledger
from gristmill.config.names import KINDS
from gristmill.config.settings import Settings
from gristmill.fleet.buckets import Buckets
from gristmill.fleet.meters import Bucket, Meters, TaskCount
from gristmill.fleet.outlook import Outlooks
from gristmill.fleet.queue_now import QueueNow, Times
from gristmill.fleet.registry import LiveWorker, WorkerRegistry
from gristmill.fleet.running_items import RunningItems
from gristmill.server.rights import refused_commands

#: Seconds over which a rate is measured: the first window with enough items counts.
_WINDOWS, _ENOUGH = (10, 60, 300), 20
#: Seconds over which quantiles are measured.
_TIMES = 60
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
    """Observes the fleet on one server."""

    def __init__(self, client: Redis, settings: Settings) -> None:
        self.fleet = WorkerRegistry(client, settings)
        self.meters = Meters(client, settings)
        self.running_items = RunningItems(client, settings)
        self.outlooks = Outlooks(client, settings)
        self._ledger = Ledger(client, settings)
        self._seconds: Buckets[Bucket] = Buckets(self.meters, 1, lambda bucket: bucket)

    @cached_property
    def may_write(self) -> bool:
        """Whether the user of the server may change batches."""
        return not refused_commands(self.fleet.client, self.meters.settings.prefix, ("HDEL k 0",))

    def sample(self) -> None:
        """Sample the queues and do what has come due, unless the user of the server may only read."""
        if self.may_write:
            self.meters.heartbeat()

    def look(self) -> Overview:
        """The fleet now; also samples the queues, because without workers nobody else does."""
        self.sample()
        at = self.meters.now()
        second = int(at)
        buckets = self._seconds.read(range(second - _TIMES, second + 1), at)
        batches = self.active()
        workers = self.fleet.workers()
        last = next((bucket for bucket in reversed(buckets) if bucket.queues), Bucket())
        names = {*KINDS, *last.queues, *(worker.queue for worker in workers)}
        queues = [_queue(name, buckets[:-1], last, workers, batches) for name in sorted(names)]
        if any(queue.left and queue.rate * _TIMES < _ENOUGH for queue in queues):
            # The items are slow: their rate needs a longer window.
            buckets = self._seconds.read(range(second - max(_WINDOWS), second - _TIMES), at) + buckets
            queues = [_queue(name, buckets[:-1], last, workers, batches) for name in sorted(names)]
        return Overview(at, queues, workers, batches)

    def active(self) -> list[BatchInfo]:
        """The batches that have not ended, oldest first."""
        names = cast(list[str], self.fleet.client.zrange(self.meters.settings.key("active"), 0, -1))
        return self.infos(names)

    def infos(self, names: Sequence[str]) -> list[BatchInfo]:
        """The info of each batch in `names` that is on the server."""
        return self._ledger.infos(names)


def _queue(
    name: str, past: Sequence[Bucket], last: Bucket, workers: Sequence[LiveWorker], batches: Sequence[BatchInfo]
) -> QueueNow:
    recent = [(sum_of(bucket, name), bucket.queues.get(name, {})) for bucket in past]
    gauges = last.queues.get(name, {})
    window = _window([count for count, _ in recent], bool(gauges.get("left")))
    done, samples = TaskCount(), []
    for count, sample in recent[len(recent) - window :]:
        done.add(count)
        if sample.get("slots"):
            samples.append(sample["busy"] / sample["slots"])
    times = TaskCount()
    for count, _ in recent[-_TIMES:]:
        times.add(count)
    mine = [worker for worker in workers if worker.queue == name]
    return QueueNow(
        name=name,
        left=round(gauges.get("left", 0)),
        paused=round(gauges.get("held", 0)),
        oldest=gauges.get("oldest", 0.0),
        rate=done.done / window,
        failing=done.failed / window,
        seconds=done.busy / done.done if done.done else 0.0,
        used=sum(samples) / len(samples) if samples else 0.0,
        slots=sum(worker.slots for worker in mine),
        busy=sum(worker.busy for worker in mine),
        workers=len(mine),
        submitting=any(batch.queue == name and batch.state is State.SUBMITTING for batch in batches),
        wait=quantiles(times.waits),
        run=quantiles(times.runs),
        kind=_kind(name, mine, batches),
    )


def _kind(queue: str, workers: Sequence[LiveWorker], batches: Sequence[BatchInfo]) -> str:
    if queue in KINDS:
        return queue
    pools = {worker.pool for worker in workers} & KIND_OF_POOL.keys()
    return next(
        (KIND_OF_POOL[pool] for pool in pools), next((batch.kind for batch in batches if batch.queue == queue), "")
    )


def sum_of(bucket: Bucket, queue: str) -> TaskCount:
    """The sum of the counts of all tasks on a queue."""
    total = TaskCount()
    for series, count in bucket.tasks.items():
        if series.queue == queue:
            total.add(count)
    return total


def quantiles(counts: dict[int, int]) -> Times:
    """The values of QUANTILES in a histogram, in seconds."""
    return tuple(quantile(counts, share) for share in QUANTILES)


def _window(counts: Sequence[TaskCount], more: bool) -> int:
    """Seconds to measure a rate over: while `more` items are left, long enough for slow ones; none before the first."""
    for window in _WINDOWS if more else _WINDOWS[:1]:
        items = [count.done for count in counts[-window:]]
        if sum(items) >= _ENOUGH:
            break
    first = next((i for i, done in enumerate(items) if done), 0)
    return max(1, len(items) - first)
