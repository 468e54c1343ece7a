"""The object `item`: what a task asks about the item that it runs, and where it says how far it has come."""

import hashlib
import math
from collections.abc import Callable
from contextvars import ContextVar, Token

#: The longest note of a progress, in characters.
NOTE_CHARACTERS = 100

#: Takes what a task says of its progress: how much is done, of how much (NaN: nobody knows), and a note.
Progress = Callable[[float, float, str], None]


#: A run of an item: batch, index, attempt, slot, and who takes its progress. A tuple, since an item may take 5 µs.
Run = tuple[str, int, int, int, Progress | None]

_running: ContextVar[Run] = ContextVar("gristmill_item", default=("", 0, 1, 0, None))


def enter(batch: str, index: int, attempt: int, slot: int = 0, progress: Progress | None = None) -> Token[Run]:
    """Begin the run of an item in the thread or the coroutine that calls the task, until `leave`.

    `attempt` counts from 1. `slot` is the number of the slot on its host. Threads and coroutines each have an item of
    their own, and a coroutine that the task starts has its item too.
    """
    return _running.set((batch, index, attempt, slot, progress))


def leave(run: Token[Run]) -> None:
    """End the run that `enter` began, in the same thread or coroutine."""
    _running.reset(run)


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

    @property
    def slot(self) -> int:
        """The number of the slot on its host."""
        return _running.get()[3]

    def progress(self, done: float, total: float | None = None, note: str = "") -> None:
        """Say how far this run has come: `done` of `total` (None: nobody knows), and what it does, in a few words.

        A call takes about a microsecond and reaches nobody at once: the worker sends what was said last, once a second,
        of items that run for longer than a second. Only the first 100 characters of `note` are shown. Outside a run,
        nothing happens.

        Raises:
            TypeError, ValueError: `done` or `total` is not a finite number.
        """
        done, of = float(done), math.nan if total is None else float(total)
        if not math.isfinite(done) or math.isinf(of) or (total is not None and math.isnan(of)):
            raise ValueError(f"invalid progress: {done:g} of {total} (expected finite numbers)")
        tell = _running.get()[4]
        if tell is not None:
            tell(done, of, str(note)[:NOTE_CHARACTERS])

    def __repr__(self) -> str:
        return f"<item {self.index} of batch {self.batch!r}, attempt {self.attempt}>"


#: What a task asks about its own run: `from gristmill import item`.
item = CurrentItem()
