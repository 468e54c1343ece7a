"""The meters: what the fleet did in each second, ten seconds, minute and five minutes, and in total."""

from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple, TypeVar, cast

from gristmill.batches.histogram import from_coarse
from gristmill.batches.scripts import BatchScripts
from gristmill.server.question import Question
from gristmill.server.scripts import server_time

View = TypeVar("View")

#: Seconds that a bucket covers -> buckets that a reader may ask for; the server has a few more, for readers that lag.
WIDTHS = {1: 300, 10: 360, 60: 360, 300: 288}


class Series(NamedTuple):
    """The queue and the task that counts belong to."""

    queue: str
    task: str


@dataclass(slots=True)
class TaskCount:
    """Items of one task on one queue: outcomes, seconds of work, and histograms of run time and wait.

    `retries` counts attempts that failed and are followed by another, `duplicates` runs beyond the recorded one.
    """

    succeeded: int = 0
    failed: int = 0
    busy: float = 0.0
    retries: int = 0
    duplicates: int = 0
    runs: Counter[int] = field(default_factory=Counter)
    waits: Counter[int] = field(default_factory=Counter)

    @property
    def done(self) -> int:
        """Items that have an outcome."""
        return self.succeeded + self.failed

    def take(self, what: str, number: int) -> None:
        """Add one field of a bucket, see counts.lua."""
        if what == "s":
            self.succeeded += number
        elif what == "f":
            self.failed += number
        elif what == "b":
            self.busy += number / 1000
        elif what == "a":
            self.retries += number
        elif what == "d":
            self.duplicates += number
        elif (counts := {"R": self.runs, "W": self.waits}.get(what[0])) is not None:
            counts[int(what[1:])] += number
        elif (counts := {"r": self.runs, "w": self.waits}.get(what[0])) is not None:
            counts.update(from_coarse({int(what[1:]): number}))

    def add(self, other: "TaskCount") -> None:
        """Add another count."""
        self.succeeded += other.succeeded
        self.failed += other.failed
        self.busy += other.busy
        self.retries += other.retries
        self.duplicates += other.duplicates
        self.runs.update(other.runs)
        self.waits.update(other.waits)


@dataclass(slots=True)
class Bucket:
    """Counts and samples of one stretch of time.

    `queues` maps a queue to the means of its samples: `left` items, `held` items (left, in paused batches), `oldest`
    in seconds, `slots`, `busy`. `hosts` maps a machine to `cores`, `cpu` (percent), `used` and `memory` (MiB). Both are
    empty without samples.
    """

    tasks: dict[Series, TaskCount] = field(default_factory=dict)
    queues: dict[str, dict[str, float]] = field(default_factory=dict)
    hosts: dict[str, dict[str, float]] = field(default_factory=dict)

    @classmethod
    def from_fields(cls, fields: Mapping[str, str]) -> "Bucket":
        """Build the bucket from the fields of its hash."""
        bucket = cls()
        samples = int(fields.get("n", 0)) or 1
        for name, number in fields.items():
            kind, _, rest = name.partition("|")
            if kind == "t":
                queue, what, task = rest.split("|", 2)
                bucket.tasks.setdefault(Series(queue, task), TaskCount()).take(what, int(number))
            elif kind in ("q", "h"):
                what, _, about = rest.partition("|")
                mean = int(number) / samples / (1000 if what == "oldest" else 1)
                (bucket.queues if kind == "q" else bucket.hosts).setdefault(about, {})[what] = mean
        return bucket


@dataclass(frozen=True, slots=True)
class BatchMeter:
    """The course of a batch: `slices[i]` counts (succeeded, failed) in the seconds i·width to (i + 1)·width after its
    creation; `runs` is the histogram of its run times, with five buckets to a decade."""

    width: int
    slices: dict[int, tuple[int, int]]
    runs: dict[int, int]

    @classmethod
    def from_fields(cls, fields: Mapping[str, str]) -> "BatchMeter":
        """Build the meter from the fields of its hash."""
        slices: dict[int, tuple[int, int]] = {}
        runs: dict[int, int] = {}
        for label, number in fields.items():
            if label[0] == "r":
                runs[int(label[1:])] = int(number)
            elif label != "width":
                succeeded, failed = slices.get(int(label[:-1]), (0, 0))
                more = int(number)
                slices[int(label[:-1])] = (succeeded + more, failed) if label[-1] == "s" else (succeeded, failed + more)
        return cls(int(fields.get("width", 1)), slices, runs)


class Meters(BatchScripts):
    """The meters on one server."""

    def heartbeat(self) -> float:
        """Sample the queues and hosts, and close the last second: once a second. Returns the time, as `now` does."""
        return int(self._call("meters")) / 1000

    def now(self) -> float:
        """The server's Unix time in seconds."""
        return server_time(self.client, self.settings.prefix)

    def read(self, width: int, starts: Sequence[int]) -> list[Bucket]:
        """The buckets of `width` seconds that start at `starts`, multiples of it; empty where the server has none."""
        with self.client.pipeline(transaction=False) as pipe:
            for start in starts:
                pipe.hgetall(self.settings.key(f"meters:{width}:{start}"))
            return [Bucket.from_fields(fields) for fields in cast(list[dict[str, str]], pipe.execute())]

    def totals(self) -> dict[Series, TaskCount]:
        """The counts of all time, up to this moment."""
        with self.client.pipeline() as pipe:
            pipe.hgetall(self.settings.key("meters:total"))
            pipe.smembers(self.settings.key("meters:open"))
            fields, seconds = cast(tuple[dict[str, str], Iterable[str]], pipe.execute())
        total = Bucket.from_fields({f"t|{name}": number for name, number in fields.items()})
        # A second that joins the totals between the two reads may count twice, or not at all; the next answer is right.
        for bucket in self.read(1, [int(second) for second in seconds]):
            for series, count in bucket.tasks.items():
                total.tasks.setdefault(series, TaskCount()).add(count)
        return total.tasks

    def of_workers(self, workers: Sequence[str]) -> Question[dict[str, dict[Series, TaskCount]]]:
        """The counts of each worker since it started, by task."""

        def count(fields: dict[str, str]) -> dict[Series, TaskCount]:
            return Bucket.from_fields({f"t|{name}": number for name, number in fields.items()}).tasks

        return self._hashes(count, {worker: f"meters:of:{worker}" for worker in workers})

    def ended(self) -> Question[dict[tuple[Series, str], int]]:
        """How many batches have ended, ever, by queue and task and by state."""

        def parse(answers: list[Any]) -> dict[tuple[Series, str], int]:
            (fields,) = answers
            parts = {name: name.split("|", 2) for name in fields}
            return {(Series(queue, task), state): int(fields[name]) for name, (queue, state, task) in parts.items()}

        return Question(lambda pipe: pipe.hgetall(self.settings.key("ended")), parse)

    def batches(self, names: Sequence[str]) -> Question[dict[str, BatchMeter]]:
        """The meters of these batches, by name; each is empty until its batch has a first outcome."""
        return self._hashes(BatchMeter.from_fields, {name: f"batch:{name}:meter" for name in names})

    def _hashes(self, make: Callable[[dict[str, str]], View], keys: Mapping[str, str]) -> Question[dict[str, View]]:
        """What `make` makes of the hashes that `keys` names."""
        return Question(
            lambda pipe: [pipe.hgetall(self.settings.key(key)) for key in keys.values()],
            lambda answers: dict(zip(keys, map(make, answers), strict=True)),
        )
