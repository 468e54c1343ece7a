"""The last minutes of a queue, second by second, and what they say: rate, run times, how busy its slots were."""

from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import takewhile
from statistics import median

from gristmill.batches.histogram import middle
from gristmill.fleet.meters import Bucket, TaskCount

#: Seconds that are looked at; those over which most is measured, and the items that have to end in them.
SECONDS, SPAN, ENOUGH = 300, 60, 20
#: Seconds of the shortest window, and how many run times a window has: what slots that began together have done comes
#: in bursts, one for each of their run times.
LEAST_WINDOW, RUNS_IN_WINDOW = 10, 4
#: Run time in seconds from which on taking and recording a chunk takes no time worth counting.
SLOW_SECONDS = 1.0
#: Run times after which what has ended tells how long items take.
SETTLED_RUNS = 8
#: The variance of run times that a bucket cannot tell apart; and the one from which on they differ (mean 1).
BUCKET_VARIANCE, DIFFERENT = 0.005, 0.5
#: Above this ratio of work to busy slots, a slot runs several items at once.
SEVERAL_AT_ONCE = 1.5
#: Seconds of one of the stretches of which the median one says how many items arrive.
STRETCH = 5
#: Stretches that have to be known: two batches that were just stored are no stream of items.
STRETCHES_LEAST = 6
#: The first seconds with work for all slots are left out: heartbeats tell of it up to a second later.
BEGINNING = 2


@dataclass(slots=True)
class QueueSecond:
    """One second of a queue: the counts of its tasks, and the samples, as Bucket has them; no samples: empty."""

    tasks: dict[str, TaskCount] = field(default_factory=dict)
    gauges: Mapping[str, float] = field(default_factory=dict)
    done: int = 0
    failed: int = 0
    work: float = 0.0


NOTHING = QueueSecond()


def by_queue(bucket: Bucket) -> dict[str, QueueSecond]:
    """A second of the meters, by queue."""
    queues = {name: QueueSecond(gauges=gauges) for name, gauges in bucket.queues.items()}
    for series, count in bucket.tasks.items():
        second = queues.setdefault(series.queue, QueueSecond())
        second.tasks[series.task] = count
        second.done += count.done
        second.failed += count.failed
        second.work += count.busy
    return queues


class QueueHistory:
    """The last seconds of a queue, oldest first; the one that is not over is not among them."""

    def __init__(self, seconds: Sequence[QueueSecond]) -> None:
        self._seconds = seconds
        self._loaded = self._count_back(_is_loaded)
        # What now has work for all slots is another batch, as a rule, than what had before the last pause.
        now, last = seconds[-min(self._loaded, SPAN) :] if self._loaded else [], seconds[-SPAN:]
        #: Whether what is measured is of what now has work for all slots.
        self.is_of_now = sum(second.done for second in now) >= ENOUGH
        self._span = now if self.is_of_now else last if sum(second.done for second in last) >= ENOUGH else seconds
        self.counts = self._sum(self._span)
        runs = sum((count.runs for count in self.counts.values()), Counter[int]())
        #: How long an item takes of which a slot runs one now: long ones more often than there are such items.
        self.length, self.variance = _length_of(runs)
        self._left = next((one.gauges.get("left", 0.0) for one in reversed(seconds) if one.gauges), 0.0)
        window = round(min(max(LEAST_WINDOW, RUNS_IN_WINDOW * self.length), SECONDS))
        if self._loaded:
            window = min(window, max(1, self._loaded - BEGINNING))
        elif not self._left:
            window = LEAST_WINDOW
        else:
            began = next((i for i, one in enumerate(seconds[-window:]) if one.done or one.gauges.get("busy")), 0)
            window = min(window, len(seconds)) - began
        #: The seconds over which rates are measured.
        self._window = seconds[-max(1, window) :]

    @property
    def mean(self) -> float:
        """The mean run time of an item, in seconds; 0 before one has ended."""
        return self.mean_of(self.counts.values()) * self.bias

    @property
    def bias(self) -> float:
        """By how much items take longer than those that have ended."""
        return self.bias_of(self.mean_of(self.counts.values()))

    def bias_of(self, mean: float) -> float:
        """By how much items take longer than those that have ended, which took `mean` seconds.

        The first ones that end are the short ones: while slots have not run many items each, the time that they have
        spent, on those that still run too, tells more than the run times do. That holds for run times that differ: of
        equal ones, none has ended, or all have.
        """
        done = self._weighed(lambda second: second.done)
        if self.length < SLOW_SECONDS or self._loaded > SETTLED_RUNS * self.length or not done or not mean:
            return 1.0
        spent = self._weighed(_busy) / done
        return max(1.0, 1 + min(1.0, self.variance / DIFFERENT) * (spent / mean - 1))

    @property
    def ended(self) -> int:
        """Items that have ended in the time over which run times are measured."""
        return sum(count.done for count in self.counts.values())

    @property
    def busy(self) -> float:
        """The slots that were busy at the last sample."""
        return next((_busy(second) for second in reversed(self._seconds) if second.gauges), 0.0)

    def mean_of(self, counts: Iterable[TaskCount]) -> float:
        """The mean run time of the items in some counts, in seconds."""
        counts = list(counts)
        done = sum(count.done for count in counts)
        return sum(count.busy for count in counts) / done if done else 0.0

    @property
    def rate(self) -> float:
        """Items per second."""
        if self.length < SLOW_SECONDS or len(self._window) >= 2 * self.length or not self.mean:
            return self._weighed(lambda second: second.done)
        # By Little's law: of slow items, too few have ended to count.
        return self._weighed(_busy) * self.speed / self.mean

    def rate_of(self, task: str) -> float:
        """Items of a task per second."""
        return self._weighed(lambda second: second.tasks[task].done if task in second.tasks else 0)

    @property
    def times(self) -> tuple[Counter[int], Counter[int]]:
        """The histograms of waits and of run times of the last minute."""
        waits, runs = Counter[int](), Counter[int]()
        for second in self._seconds[-SPAN:]:
            for count in second.tasks.values():
                waits.update(count.waits)
                runs.update(count.runs)
        return waits, runs

    @property
    def failing(self) -> float:
        """Failures per second."""
        return self._weighed(lambda second: second.failed)

    @property
    def used(self) -> float:
        """The share of the slots that was busy, 0 to 1."""
        slots = self._weighed(lambda second: second.gauges.get("slots", 0.0))
        return min(1.0, self._weighed(_busy) / slots) if slots else 0.0

    @property
    def speed(self) -> float:
        """Seconds of items that a busy slot does in a second."""
        busy = self._weighed(_busy)
        ratio = self._weighed(lambda second: second.work) / busy if busy else 1.0
        if ratio > SEVERAL_AT_ONCE:
            return ratio
        return min(1.0, max(0.05, ratio)) if 0 < self.length < SLOW_SECONDS and ratio else 1.0

    @property
    def arrivals(self) -> float:
        """Items that are stored per second, as in the median stretch of the last minute: a burst does not count."""
        span = [second for second in self._seconds[-SPAN:] if second.gauges]
        rates = []
        for i in range(0, len(span) - STRETCH, STRETCH):
            grown = span[i + STRETCH].gauges.get("left", 0.0) - span[i].gauges.get("left", 0.0)
            rates.append((grown + sum(second.done for second in span[i : i + STRETCH])) / STRETCH)
        return max(0.0, median(rates)) if len(rates) >= STRETCHES_LEAST else 0.0

    @property
    def steady(self) -> float:
        """For how many seconds the number of slots has been the same, with work for all of them if there is any now."""
        now = next((second.gauges.get("slots") for second in reversed(self._seconds) if second.gauges), None)
        same = self._count_back(lambda second: second.gauges.get("slots") == now)
        return float(min(same, self._loaded) if self._loaded else same)

    def _count_back(self, holds: Callable[[QueueSecond], bool]) -> int:
        """The number of seconds up to now for which something holds, or nobody has looked."""
        return sum(1 for _ in takewhile(lambda second: not second.gauges or holds(second), reversed(self._seconds)))

    def _weighed(self, value: Callable[[QueueSecond], float]) -> float:
        """The mean of a value over the window, the middle of it counting most (Bartlett's window).

        What comes in bursts, one in each run time, gives the same mean wherever the window begins.
        """
        number = len(self._window)
        if not number:
            return 0.0
        total: float = sum((1 - abs((2 * i + 1) / number - 1)) * value(second) for i, second in enumerate(self._window))
        return total / (number / 2 if number % 2 == 0 else (number + 1 / number) / 2)

    @staticmethod
    def _sum(seconds: Sequence[QueueSecond]) -> dict[str, TaskCount]:
        sums: dict[str, TaskCount] = {}
        for second in seconds:
            for task, count in second.tasks.items():
                sums.setdefault(task, TaskCount()).add(count)
        return sums


def _length_of(runs: Mapping[int, int]) -> tuple[float, float]:
    """The mean run time, in which each second of a run counts once; and the variance of run times, of a mean of 1."""
    number = sum(runs.values())
    total = sum(items * middle(place) for place, items in runs.items())
    squares = sum(items * middle(place) ** 2 for place, items in runs.items())
    if not total:
        return 0.0, 0.0
    # Neighbouring buckets may hold times that are nearly the same.
    return squares / total, max(0.0, squares * number / total**2 - 1 - BUCKET_VARIANCE)


def _is_loaded(second: QueueSecond) -> bool:
    slots = second.gauges.get("slots", 0.0)
    return 0 < slots <= second.gauges.get("left", 0.0)


def _busy(second: QueueSecond) -> float:
    return second.gauges.get("busy", 0.0)
