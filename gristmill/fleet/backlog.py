"""What is left of a queue: how long its items will take, what holds them back, and when those that run have ended."""

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from itertools import accumulate
from math import exp, log, sqrt
from statistics import NormalDist, fmean

from gristmill.batches.histogram import middle
from gristmill.batches.info import ON_HOLD, BatchInfo, State
from gristmill.config.quantities import parse_rate
from gristmill.fleet.outlook import rest
from gristmill.fleet.queue_history import QueueHistory
from gristmill.fleet.running_items import RunningItem

#: Items of a task that have to have ended before their mean tells more than what the batch has measured.
ENOUGH = 5
#: The doubt of who knows nothing.
DOUBT_MOST = 99.0


@dataclass(frozen=True)
class Backlog:
    """The batches of one queue that have items left, with what the meters know of their tasks.

    Those of a task that nothing is known of are one. `means` are the mean run times that batches have measured
    themselves, by name.
    """

    batches: Sequence[BatchInfo]
    history: QueueHistory
    means: Mapping[str, float]
    running: Sequence[RunningItem] = ()

    @classmethod
    def of(
        cls,
        queue: str,
        batches: Sequence[BatchInfo],
        history: QueueHistory,
        means: Mapping[str, float],
        running: Sequence[RunningItem] = (),
    ) -> "Backlog":
        """The backlog of a queue, of all batches."""
        mine = [one for one in batches if one.queue == queue and one.left and one.state not in _SILENT]
        names = {one.name for one in mine}
        running = [item for item in running if item.batch in names]
        return cls(_piled(mine, {*means, *(item.batch for item in running)}), history, means, running)

    @cached_property
    def mean(self) -> Mapping[str, float]:
        """Seconds that an item of each batch takes, by the batch's name: as those of its task do, as a rule.

        Where some of these were of other batches, it is what the batch has measured itself, once enough of its items
        have ended. Before any have, it is for how long those that run have run already.
        """
        means, of_all = {}, self.history.mean
        of_tasks = {task: (self.history.mean_of([count]), count.done) for task, count in self.history.counts.items()}
        for batch in self.batches:
            mean, done = of_tasks.get(batch.task, (0.0, 0))
            own, ended = self.means.get(batch.name), _ended(batch)
            if done < ENOUGH:
                means[batch.name] = max(own or mean or of_all, fmean(self._ages(batch)))
            else:
                is_own = own and ENOUGH <= ended < done
                means[batch.name] = own * self.history.bias_of(own) if own and is_own else mean * self.history.bias
        return means

    @cached_property
    def _ages_by_name(self) -> Mapping[str, list[float]]:
        ages: dict[str, list[float]] = {}
        for item in self.running:
            ages.setdefault(item.batch, []).append(item.seconds)
        return ages

    def _ages(self, batch: BatchInfo) -> list[float]:
        """For how long the items of a batch that run have run; [0] where none has for a second."""
        return self._ages_by_name.get(batch.name, [0.0])

    @property
    def doubt(self) -> float:
        """The share of the work that is left by which it may be less, as far as the batches themselves tell.

        That is the standard error of a batch's mean, as if one item more had been seen of which nothing is known (run
        times whose standard deviation is their mean), what others have told of its task, and what is only expected of
        the items that run.
        """
        work = sum(batch.left * self.mean[batch.name] for batch in self.batches)
        least = sum(batch.left * self._least_mean(batch) for batch in self.batches)
        return min(max(work / least - 1, 0.0), DOUBT_MOST) if least else DOUBT_MOST if work else 0.0

    def _least_mean(self, batch: BatchInfo) -> float:
        """As if each item that runs ended now."""
        ended, ages = _ended(batch), self._ages(batch)
        if not ended:
            return fmean(ages)
        mean, number = self.means.get(batch.name) or self.mean[batch.name], ended + self.history.busy
        if self.history.is_of_now and (count := self.history.counts.get(batch.task)):
            # What the batch has measured is of its last items most of all.
            mean = min(mean, self.history.mean_of([count]))
        error = sqrt((self.history.variance * number + 1) / (number + 1) / number)
        return max(mean, (mean * ended + sum(ages)) / (ended + len(ages))) / (1 + error)

    def work(self, left: int) -> float:
        """Seconds that the `left` items of the queue take together; 0 while nothing tells that."""
        of_batches = sum(batch.left for batch in self.batches)
        total = max(left, of_batches)
        work = sum(batch.left * self.mean[batch.name] for batch in self.batches)
        work += (total - of_batches) * self.history.mean
        # The samples are up to a second older, or younger, than the batches.
        return work * left / total if total else 0.0

    def longest(self, number: int) -> float:
        """The run time that the longest of `number` items is expected to have; 0 while nothing tells that.

        More items than have ended have a longer one than they had: as if the logarithms of run times were normal.
        """
        tasks = {batch.task for batch in self.batches}
        counts = [count for task, count in self.history.counts.items() if task in tasks or not tasks]
        runs = [(place, items) for count in counts for place, items in count.runs.items()]
        total, mean = sum(items for _, items in runs), self.history.mean_of(counts) * self.history.bias
        if not total or not mean:
            return 0.0
        if number > total:
            sigma = sqrt(log(1 + self.history.variance))
            return mean * exp(sigma * NormalDist().inv_cdf(1 - 1 / (number + 1)) - sigma * sigma / 2)
        slowest = sorted(runs, reverse=True)
        above = accumulate(items for _, items in slowest)
        longest = next(place for (place, _), items in zip(slowest, above, strict=True) if items >= total / (number + 1))
        # A bucket is wide: the mean says where in it the run times are.
        return middle(longest) * mean * total / sum(items * middle(place) for place, items in runs)

    def ends(self, left: int) -> float | None:
        """Seconds until the items that run have ended, when those are all that is left; else None."""
        if not self.running or len(self.running) < left:
            return None
        return max(rest(item, self.mean[item.batch]) for item in self.running)

    @property
    def over_limit(self) -> Sequence[BatchInfo]:
        """The batches of which a limit holds items back."""
        return [batch for batch in self.batches if batch.held_by]

    def held_seconds(self) -> float | None:
        """For how long limits hold the last of the items back; None where nothing tells that, or no limit does."""
        periods = [self._held_seconds(batch) for batch in self.over_limit]
        return max((seconds for seconds in periods if seconds), default=None)

    def _held_seconds(self, batch: BatchInfo) -> float | None:
        limit = batch.held_by or ""
        if limit == "rate" and batch.rate and not batch.limit_by:
            return batch.left / parse_rate(batch.rate)
        if limit == "max_running" and isinstance(batch.max_running, int) and not batch.limit_by:
            return batch.left * self.mean[batch.name] / batch.max_running or None
        if limit.startswith("batch "):
            return None
        # As many end in a second as did: the batches of a task share its limit.
        left = sum(other.left for other in self.over_limit if other.task == batch.task)
        rate = self.history.rate_of(batch.task)
        return left / rate if rate else None


def _piled(batches: Iterable[BatchInfo], names: Collection[str]) -> list[BatchInfo]:
    """The batches; those of a task together as one of which no item has ended, no limit holds any, none is in `names`.

    There may be thousands of them, and all have the mean of their task.
    """
    apart, piles = list[BatchInfo](), dict[str, list[BatchInfo]]()
    for batch in batches:
        if batch.held_by or batch.name in names or _ended(batch):
            apart.append(batch)
        else:
            piles.setdefault(batch.task, []).append(batch)
    return [*apart, *(replace(pile[0], left=sum(batch.left for batch in pile)) for pile in piles.values())]


def _ended(batch: BatchInfo) -> int:
    return batch.succeeded + batch.failed + batch.dead


#: A batch in these states adds nothing to what its queue has to do now.
_SILENT = ON_HOLD | {State.WAITING}
