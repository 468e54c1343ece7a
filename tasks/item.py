"""The object `item`: what a task asks about the item that it runs."""

import hashlib
import math
from collections.abc import Callable
from contextvars import ContextVar

from gristmill.errors import invalid_value

#: Takes the progress of an item: batch, index, done, total, note.
Report = Callable[[str, int, float, float | None, str], None]
#: A run of an item: batch, index, attempt, what takes its progress, slot, the batch's task. A tuple, since an item may
#: take 5 µs.
Run = tuple[str, int, int, Report | None, int, str]

_NONE: Run = ("", 0, 1, None, 0, "")
_running: ContextVar[Run] = ContextVar("gristmill_item", default=_NONE)


#: Begins the run of an item in the thread or the coroutine that calls the task: its batch, its index, the attempt, from
#: 1, what takes its progress, its slot, from 0, and the batch's task. Threads and coroutines each have an item of their
#: own; a coroutine that a task starts has its item too.
enter = _running.set


def leave() -> None:
    """End the run of the last item in this thread: it runs none."""
    _running.set(_NONE)


def task_of_batch() -> str:
    """The name of the task of the item that runs here; empty outside a run."""
    return _running.get()[5]


def seed(batch: str, index: int) -> int:
    """The seed of an item: the first 63 bits of the BLAKE2b digest (of 8 bytes) of `batch:index`."""
    return int.from_bytes(hashlib.blake2b(f"{batch}:{index}".encode(), digest_size=8).digest()) >> 1


class CurrentItem:
    """The item that this thread or coroutine runs; outside a run, item 0 of a batch without a name."""

    __slots__ = ()

    @property
    def batch(self) -> str:
        """The name of the item's batch; empty outside a run."""
        return _running.get()[0]

    @property
    def index(self) -> int:
        """The item's place among the items of its batch, from 0."""
        return _running.get()[1]

    @property
    def attempt(self) -> int:
        """Which attempt this is, from 1."""
        return _running.get()[2]

    @property
    def seed(self) -> int:
        """A number from 0 to 2**63 - 1, the same in each run of this item, on each host, for random generators."""
        batch, index, *_ = _running.get()
        return seed(batch, index)

    def progress(self, done: float, total: float | None = None, note: str = "") -> None:
        """Say how far this item is: `done` of `total` (None: unknown), in any unit, and in words (200 bytes of UTF-8).

        `gristmill busy`, `watch` and the dashboard show it while the item runs. A call takes about a microsecond and
        asks no server. Outside a run it has no effect.

        Raises:
            ValueError: a number is infinite or no number.
        """
        batch, index, _, report, *_ = _running.get()
        for name, value in (("done", done), ("total", total)):
            if value is not None and not math.isfinite(value):
                raise ValueError(invalid_value(name, value, "a finite number"))
        if report is not None:
            report(batch, index, done, total, str(note))

    @property
    def slot(self) -> int:
        """The number of the item's slot on this host, from 0; 0 outside a run.

        Items of one queue that run at the same time have different numbers; coroutines, those of one worker.
        """
        return _running.get()[4]

    def __repr__(self) -> str:
        return f"<item {self.index} of batch {self.batch!r}, attempt {self.attempt}>"


#: What a task asks about its own run: `from gristmill import item`.
item = CurrentItem()
