"""The work that `compare` does in several ways: one kind of item, many times."""

import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from gristmill.demo.site import Site
from gristmill.demo.sizes import lasting, longest_share, timed
from gristmill.tasks import catalog
from gristmill.tasks.kind import Kind

#: Fibonacci numbers at most, and how many sizes they have.
_NUMBERS, _SIZES = 80, 8
#: Seconds of one wait; the waits, the pages and the seconds of digests for each second of CPU-bound work.
_WAIT, _WAITS, _PAGES, _DIGESTING = 0.1, 16 / 3, 8 / 3, 0.15
#: Files, and the bytes of each: small enough to stay in the page cache, so that no disk is measured.
_FILES, _FILE_BYTES, _MOST_DIGESTS = 8, 4 << 20, 10_000


@dataclass(frozen=True, slots=True)
class Workload:
    """Items of a task, whether they wait, and the share of the work that the longest item takes."""

    kind: Kind
    title: str
    task: str
    items: Sequence[Any]
    waits: bool = False
    longest: float = 0.0

    @property
    def name(self) -> str:
        """The first word of its title."""
        return self.title.partition(":")[0]


def computing(seconds: float) -> Workload:
    """Fibonacci numbers that take about `seconds` one after another."""
    return fibonacci(lasting(_NUMBERS, _SIZES, seconds, catalog.find("fibonacci").run))


def fibonacci(numbers: Sequence[int]) -> Workload:
    """These Fibonacci numbers."""
    sizes = f"F({min(numbers)})" + (f" to F({max(numbers)})" if len(set(numbers)) > 1 else "")
    title = f"CPU-bound: {_counted(len(numbers), 'Fibonacci number')}, {sizes}"
    return Workload(Kind.CPU, title, "fibonacci", numbers, longest=longest_share(numbers))


def waiting(seconds: float) -> Workload:
    """As many waits as go with `seconds` of CPU-bound work."""
    count = _count(seconds * _WAITS)
    return Workload(Kind.IO, f"waiting: {count} × {_WAIT:g} s", "pause", [_WAIT] * count, waits=True)


def fetching(seconds: float, site: Site) -> Workload:
    """As many pages of a site as go with `seconds` of CPU-bound work."""
    count = _count(seconds * _PAGES)
    title = f"fetching: {_counted(count, 'page')} of 50 to 200 ms"
    return Workload(Kind.IO, title, "fetch", [site.page(number) for number in range(count)], waits=True)


def digesting(seconds: float, data: Path) -> Workload:
    """Digests of files that this function writes to `data`, the data root: as many as go with `seconds`."""
    names = [f"file-{number}" for number in range(_FILES)]
    for name in names:
        (data / name).write_bytes(os.urandom(_FILE_BYTES))
    digest = catalog.find("digest").run
    count = min(_MOST_DIGESTS, _count(seconds * _DIGESTING / min(timed(digest, name) for name in names)))
    title = f"files: {_counted(count, 'digest')} of {_FILE_BYTES >> 20} MiB"
    return Workload(Kind.IO, title, "digest", [names[number % _FILES] for number in range(count)])


def _count(number: float) -> int:
    return max(1, round(number))


def _counted(count: int, what: str) -> str:
    return f"{count} {what}" + ("" if count == 1 else "s")
