"""The items of one chunk as coroutines: the event loop runs them side by side, and a slot collects their outcomes."""

import asyncio
import threading
from collections import deque
from collections.abc import Callable, Coroutine, Sequence
from contextvars import copy_context
from dataclasses import dataclass
from typing import Any
from weakref import WeakSet

from gristmill.batches.chunk import Item, Outcome
from gristmill.worker.loop.places import Places
from gristmill.worker.slot.run_outcome import OUTCOMES_BYTES

Run = Callable[[Item], Coroutine[Any, Any, Outcome]]
#: Makes the outcome of an item that ran too long, of the item and the seconds that it ran.
Overdue = Callable[[Item, float], Outcome]

#: The tasks that were cancelled because their time was over.
_late: WeakSet[asyncio.Task[Any]] = WeakSet()


def cancel_late(task: Any) -> None:
    """Cancel a task because its time is over."""
    _late.add(task)
    task.cancel()


def is_late() -> bool:
    """Whether the task that asks was cancelled because its time is over."""
    return asyncio.current_task() in _late


@dataclass(slots=True)
class _Running:
    item: Item
    started_at: float
    task: asyncio.Task[None]
    is_late: bool = False


class CoroutineRun:
    """Runs items side by side, in the order of their indexes, as the event loop has places for them.

    `run` makes the coroutine of an item, which answers with the item's outcome, whatever happens. The slot's thread
    calls `start`, `wait`, `take` and `stop`; everything else happens in the thread of the event loop.
    """

    def __init__(
        self, batch: str, items: Sequence[Item], run: Run, overdue: Overdue, limit: float, grace: float
    ) -> None:
        self._batch, self._items, self._run = batch, items, run
        #: An item is cancelled after `limit` seconds (0: never). `overdue` makes the outcome of one that does not heed
        #: that for `grace` seconds.
        self._limit, self._overdue, self._grace = limit, overdue, grace
        self._alarm: asyncio.TimerHandle | None = None
        #: What runs, by the index of its item.
        self._running: dict[int, _Running] = {}
        #: The indexes of items that were cancelled.
        self._without: set[int] = set()
        self._outcomes: deque[Outcome] = deque()
        #: Bytes of all outcomes so far: those that the loop has added, those that the slot has taken.
        self._bytes_added = self._bytes_collected = 0
        self._wake = threading.Event()
        self._is_stopped = self._is_held = self._all_started = self._ended = False
        #: The items that have started; the first ones.
        self.started = 0
        #: Whether nothing of this run is to be recorded; whether what has not ended is to run again elsewhere.
        self.discarded = self.interrupted = False
        self._error: BaseException | None = None

    def start(self, loop: asyncio.AbstractEventLoop, places: Places) -> None:
        """Begin on the loop, which may stand still for long. The items have copies of the context of this call."""
        self._loop, self._places, self._context = loop, places, copy_context()
        loop.call_soon_threadsafe(places.fill, self._batch, self._start_next)

    def wait(self, seconds: float) -> bool:
        """Wait for something to do for the slot, `seconds` at most; whether the run has ended.

        Raises:
            BaseException: the run itself failed, and not an item.
        """
        self._wake.wait(seconds)
        if self._ended:
            if self._error is not None:
                raise self._error
            return True
        self._wake.clear()
        self._loop.call_soon_threadsafe(self._give_up_overdue)
        return False

    def take(self) -> list[Outcome]:
        """The outcomes since the last call, by index."""
        outcomes = [self._outcomes.popleft() for _ in range(len(self._outcomes))]
        self._bytes_collected += sum(len(outcome.text) for outcome in outcomes)
        if self._is_held:
            self._loop.call_soon_threadsafe(self._go_on)
        return sorted(outcomes, key=lambda outcome: outcome.index)

    def stop(self) -> None:
        """Start no more items."""
        self._loop.call_soon_threadsafe(self._stop)

    def discard(self) -> None:
        """Cancel what runs; nothing is recorded."""
        self.discarded = True
        self._cancel()

    def discard_rest(self) -> None:
        """Cancel what has not ended, if anything."""
        if not self._ended:
            self.discard()

    def interrupt(self) -> list[asyncio.Task[None]]:
        """Cancel what runs, to be run again elsewhere; the tasks that are about to end."""
        self.interrupted = True
        return self._cancel()

    def has(self, index: int) -> bool:
        """Whether the item of that index is one of this run's."""
        return any(item.index == index for item in self._items)

    def cancel_item(self, index: int) -> None:
        """Cancel one item, which has no outcome then; on the loop."""
        self._without.add(index)
        if index in self._running:
            self._leave(index).cancel()
        if self._all_started and not self._running:
            self._end()

    def _stop(self) -> None:
        self._is_stopped = self._all_started = True
        if not self._running:
            self._end()

    def _cancel(self) -> list[asyncio.Task[None]]:
        self._is_stopped = True
        tasks = [self._leave(index) for index in list(self._running)]
        for task in tasks:
            task.cancel()
        self._stop()
        return tasks

    def _start_next(self) -> bool:
        """Start the next item; False if there is none, or no room for its outcome."""
        if self.is_full:
            self._is_held = True
            return False
        while self.started < len(self._items) and self._items[self.started].index in self._without:
            self.started += 1
        if self.started < len(self._items) and not self._is_stopped:
            item = self._items[self.started]
            started_at = self._loop.time()
            task = self._loop.create_task(self._run_one(item), context=self._context.copy())
            self._running[item.index] = _Running(item, started_at, task)
            self.started += 1
            if self._limit and self._alarm is None:
                self._alarm = self._loop.call_at(started_at + self._limit, self._cancel_late)
            return True
        self._all_started = True
        if not self._running:
            self._end()
        return False

    @property
    def is_full(self) -> bool:
        """Whether outcomes wait to be recorded before more items start."""
        return self._bytes_added - self._bytes_collected > OUTCOMES_BYTES

    def _go_on(self) -> None:
        if self._is_held and not self.is_full:
            self._is_held = False
            self._places.fill(self._batch, self._start_next)

    async def _run_one(self, item: Item) -> None:
        try:
            outcome = await self._run(item)
        except BaseException as error:
            self._fail(error)
            return
        if item.index in self._running:
            # Else it has an outcome already, or is none of this worker's any more.
            self._end_item(outcome)

    def _end_item(self, outcome: Outcome) -> None:
        # The outcome first: the run may end when the place is free.
        self._outcomes.append(outcome)
        self._bytes_added += len(outcome.text)
        if self.is_full:
            self._wake.set()
        self._leave(outcome.index)
        if self._all_started and not self._running:
            self._end()

    def _leave(self, index: int) -> asyncio.Task[None]:
        """Give the place of an item to another one; the item's task."""
        running = self._running.pop(index)
        self._places.release()
        return running.task

    def _cancel_late(self) -> None:
        """Cancel the items whose time is over. They share one alarm, that of the oldest: one for each costs more."""
        self._alarm = None
        now = self._loop.time()
        for running in self._running.values():
            if now < running.started_at + self._limit:
                self._alarm = self._loop.call_at(running.started_at + self._limit, self._cancel_late)
                return
            if not running.is_late:
                running.is_late = True
                cancel_late(running.task)

    def _give_up_overdue(self) -> None:
        """Let go of items that caught their cancellation and went on: their slot and their place are for others."""
        if not self._limit:
            return
        now = self._loop.time()
        for running in list(self._running.values()):
            if now - running.started_at > self._limit + self._grace:
                running.task.cancel()
                self._end_item(self._overdue(running.item, now - running.started_at))

    def _fail(self, error: BaseException) -> None:
        if not (self.discarded or self.interrupted or self._ended):
            self._error = error
            self.discard()

    def _end(self) -> None:
        if self._alarm is not None:
            self._alarm.cancel()
        self._ended = True
        self._wake.set()
