"""The charts of the Throughput page: turns the meters' buckets into one series of numbers for each line."""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any, TypeVar

from gristmill.batches.histogram import quantile
from gristmill.config.names import KINDS
from gristmill.fleet.buckets import Buckets
from gristmill.fleet.meters import Bucket, Meters, Series, TaskCount
from gristmill.fleet.overview import QUANTILES

#: Range of the page -> seconds of a bucket, and number of buckets.
RANGES = {"live": (1, 300), "1h": (10, 360), "6h": (60, 360), "24h": (300, 288)}
#: Seconds after which a chart shows a bucket that is not over.
_PARTIAL_SECONDS = 5
#: Seconds without a sample in which nothing happened: whoever samples was late. What a longer gap had, nobody knows.
_LATE_SECONDS = 4

#: Tasks, or hosts, that have a line of their own: a chart has as many colours.
LINES_MOST = 7

#: What a host has a line of.
HOST_LINES = ("cpu", "used", "memory")

Name = TypeVar("Name", str, Series)
Numbers = list[float | None]
#: How many seconds of each bucket have passed; None where nobody knows what was.
Seconds = list[float | None]


@dataclass(slots=True)
class _Digest:
    """A bucket, with the numbers that are costly to compute from it; `hosts` are the sums over all of its hosts."""

    bucket: Bucket
    queues: dict[str, TaskCount]
    times: dict[tuple[str, str], Numbers]
    hosts: dict[str, float]

    @property
    def has_samples(self) -> bool:
        """Whether anybody sampled or counted anything in it."""
        return bool(self.bucket.queues or self.bucket.tasks)

    @classmethod
    def of(cls, bucket: Bucket) -> "_Digest":
        queues: dict[str, TaskCount] = {}
        for series, count in bucket.tasks.items():
            queues.setdefault(series.queue, TaskCount()).add(count)
        times: dict[tuple[str, str], Numbers] = {}
        for queue, total in queues.items():
            times[queue, "wait"] = [_short(quantile(total.waits, share)) for share in QUANTILES]
            times[queue, "run"] = [_short(quantile(total.runs, share)) for share in QUANTILES]
        hosts = {what: sum(host[what] for host in bucket.hosts.values()) for what in HOST_LINES}
        return cls(bucket, queues, times, hosts)

    def mean_without(self, names: Iterable[str]) -> dict[str, float] | None:
        """The means over the hosts that are not among `names`; None where there are none."""
        left_out = [self.bucket.hosts[name] for name in names if name in self.bucket.hosts]
        number = len(self.bucket.hosts) - len(left_out)
        if not number:
            return None
        return {what: (total - sum(host[what] for host in left_out)) / number for what, total in self.hosts.items()}


class History:
    """The lines of each range; safe to share between threads."""

    def __init__(self, meters: Meters) -> None:
        self._buckets = {width: Buckets(meters, width, _Digest.of) for width, _ in RANGES.values()}

    def view(self, name: str, now: float) -> dict[str, Any]:
        """The lines of range `name` as the page draws them; `now` is the server's Unix time in seconds."""
        width, number = RANGES[name]
        # A chart leaves out the current second; it may show a wider bucket that is not over.
        last = int(now) - int(now) % width - (width if width == 1 or now % width < _PARTIAL_SECONDS else 0)
        starts = range(last - (number - 1) * width, last + 1, width)
        digests = self._buckets[width].read(starts, now)
        seconds = [min(float(width), now - start) for start in starts]
        samples = _sampled_or_late([digest.has_samples for digest in digests], _LATE_SECONDS // width)
        lines = _lines(digests, [long if is_sample else None for long, is_sample in zip(seconds, samples, strict=True)])
        return {"width": width, "first": starts[0], "number": number, **lines}


def _sampled_or_late(samples: list[bool], late: int) -> list[bool]:
    """Which buckets count as sampled: also those between two that were, when they are at most `late`."""
    places = [place for place, is_sample in enumerate(samples) if is_sample]
    answer = list(samples)
    for before, after in pairwise(places):
        if after - before <= late + 1:
            answer[before:after] = [True] * (after - before)
    return answer


def _lines(digests: list[_Digest], seconds: Seconds) -> dict[str, Any]:
    queues = sorted({*KINDS}.union(*(digest.queues for digest in digests), *(d.bucket.queues for d in digests)))
    return {
        "queues": {name: _queue_lines(name, digests, seconds) for name in queues},
        "tasks": _tasks(digests, seconds),
        "hosts": _hosts(digests),
    }


def _tasks(digests: list[_Digest], seconds: Seconds) -> dict[str, Any]:
    """The lines of the tasks that ran most, by name, and those of the others together."""
    totals: Counter[Series] = Counter()
    for digest in digests:
        for series, count in digest.bucket.tasks.items():
            totals[series] += count.done
    first, others = _fold(totals)
    lines = {f"{series.task} on {series.queue}": _task_lines([series], digests, seconds) for series in first}
    return lines | ({f"{len(others)} other tasks": _task_lines(others, digests, seconds)} if others else {})


def _hosts(digests: list[_Digest]) -> dict[str, Any]:
    """The lines of the hosts that were sampled last, by name, and the means of the others together."""
    last: Counter[str] = Counter()
    for place, digest in enumerate(digests):
        last |= Counter(dict.fromkeys(digest.bucket.hosts, place + 1))
    first, others = _fold(last)
    lines = {name: _host_lines([digest.bucket.hosts.get(name) for digest in digests]) for name in first}
    if not others:
        return lines
    means = [digest.mean_without(first) for digest in digests]
    return lines | {f"mean of {len(others)} others": _host_lines(means)}


def _fold(amounts: Mapping[Name, int]) -> tuple[list[Name], list[Name]]:
    """The names that get a line, those with the highest amounts, and the others, both in their order."""
    most = sorted(amounts, key=lambda name: (-amounts[name], name))
    # Alone, the last one takes no more room than "others" does.
    end = LINES_MOST if len(most) <= LINES_MOST else LINES_MOST - 1
    return sorted(most[:end]), sorted(most[end:])


def _queue_lines(name: str, digests: list[_Digest], seconds: Seconds) -> dict[str, Any]:
    counts = [digest.queues.get(name, _NOTHING) for digest in digests]
    gauges = [digest.bucket.queues.get(name, {}) for digest in digests]
    lines: dict[str, Any] = {
        "succeeded": _rates((count.succeeded for count in counts), seconds),
        "failed": _rates((count.failed for count in counts), seconds),
    }
    for what in ("left", "oldest", "slots", "busy"):
        lines[what] = [_short(gauge.get(what, 0.0 if gauge else None)) for gauge in gauges]
    for what in ("wait", "run"):
        times = [digest.times.get((name, what), _NO_TIMES) for digest in digests]
        lines[what] = [list(line) for line in zip(*times, strict=True)]
    return lines


def _task_lines(names: Sequence[Series], digests: list[_Digest], seconds: Seconds) -> dict[str, Numbers]:
    counts = [[digest.bucket.tasks.get(series, _NOTHING) for series in names] for digest in digests]
    return {
        "succeeded": _rates((sum(count.succeeded for count in some) for some in counts), seconds),
        "failed": _rates((sum(count.failed for count in some) for some in counts), seconds),
    }


def _rates(counts: Iterable[int], seconds: Seconds) -> Numbers:
    return [None if long is None else _short(count / long) for count, long in zip(counts, seconds, strict=True)]


def _host_lines(samples: list[dict[str, float] | None]) -> dict[str, Numbers]:
    return {
        "cpu": [_short(sample["cpu"]) if sample else None for sample in samples],
        "memory": [_short(100 * sample["used"] / sample["memory"]) if sample else None for sample in samples],
    }


def _short(number: float | None) -> float | None:
    """The number with four digits, which is what a chart can show."""
    return None if number is None else float(f"{number:.4g}")


_NOTHING = TaskCount()
_NO_TIMES: Numbers = [None] * len(QUANTILES)
