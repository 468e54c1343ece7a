"""The items of one chunk as coroutines: the event loop runs them side by side, and a slot collects their outcomes."""

import asyncio
import threading
import time
from collections import deque
from collections.abc import Callable, Coroutine, Sequence
from dataclasses import dataclass
from typing import Any

from gristmill.batches.chunk import Item, Outcome

#: No item starts while outcomes of more bytes than this wait to be recorded.
OUTCOMES_BYTES = 4 << 20
#: Seconds between two looks whether there is room again.
ROOM_SECONDS = 0.05

Run = Callable[[Item], Coroutine[Any, Any, Outcome]]
#: Makes the outcome of an item that ran too long, of the item and the seconds that it ran.
Overdue = Callable[[Item, float], Outcome]


@dataclass(slots=True)
class _Running:
    item: Item
    started_at: float


class CoroutineRun:
    """Runs items side by side, in the order of their indexes, as the event loop has places for them.

    `run` makes the coroutine of an item, which answers with the item's outcome, whatever happens. The slot's thread
    calls `wait`, `take` and `stop`; everything else happens in the thread of the event loop.
    """

    def __init__(self, items: Sequence[Item], run: Run, overdue: Overdue, seconds: float) -> None:
        self._items, self._run = items, run
        #: What makes the outcome of an item that ran for `seconds` (0: no limit) and did not heed its cancellation.
        self._overdue, self._seconds = overdue, seconds
        self._running: dict[asyncio.Task[None], _Running] = {}
        #: The indexes of items that were cancelled.
        self._without: set[int] = set()
        self._outcomes: deque[Outcome] = deque()
        #: Bytes of all outcomes so far: those that the loop has added, those that the slot has taken.
        self._bytes_added = self._bytes_collected = 0
        self._wake = threading.Event()
        self._all_started = self._ended = False
        #: The items that have started; the first ones.
        self.started = 0
        #: Whether nothing of this run is to be recorded; whether what has not ended is to run again elsewhere.
        self.discarded = self.interrupted = False
        self._error: BaseException | None = None

    def start(self, loop: asyncio.AbstractEventLoop, places: asyncio.Semaphore) -> None:
        """Begin, on the loop."""
        self._loop, self._places = loop, places
        self._feed = loop.create_task(self._start_items())

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
        for task, running in list(self._running.items()):
            if running.item.index == index and self._leave(task):
                task.cancel()
        if self._all_started and not self._running:
            self._end()

    def _stop(self) -> None:
        self._feed.cancel()

    def _cancel(self) -> list[asyncio.Task[None]]:
        tasks = list(self._running)
        for task in tasks:
            self._leave(task)
            task.cancel()
        self._stop()
        self._end()
        return tasks

    async def _start_items(self) -> None:
        try:
            for item in self._items:
                await self._places.acquire()
                if item.index in self._without:
                    self._places.release()
                    self.started += 1
                    continue
                task = self._loop.create_task(self._run_one(item))
                self._running[task] = _Running(item, time.monotonic())
                self.started += 1
                while self._bytes_added - self._bytes_collected > OUTCOMES_BYTES:
                    await asyncio.sleep(ROOM_SECONDS)
        except asyncio.CancelledError:
            # The slot stops the run.
            pass
        except BaseException as error:
            self._fail(error)
        self._all_started = True
        if not self._running:
            self._end()

    async def _run_one(self, item: Item) -> None:
        try:
            outcome = await self._run(item)
        except BaseException as error:
            self._fail(error)
            return
        task = asyncio.current_task()
        if task is None or not self._leave(task):
            # It has an outcome already, or is none of this worker's any more.
            return
        self._outcomes.append(outcome)
        self._bytes_added += len(outcome.text)
        if self._bytes_added - self._bytes_collected > OUTCOMES_BYTES:
            self._wake.set()
        if self._all_started and not self._running:
            self._end()

    def _leave(self, task: asyncio.Task[None]) -> bool:
        """Give the task's place to another item; False when that happened before."""
        if self._running.pop(task, None) is None:
            return False
        self._places.release()
        return True

    def _give_up_overdue(self) -> None:
        """Let go of items that caught their cancellation and went on: their slot and their place are for others."""
        if not self._seconds:
            return
        now = time.monotonic()
        for task, running in list(self._running.items()):
            if now - running.started_at > self._seconds and self._leave(task):
                task.cancel()
                outcome = self._overdue(running.item, now - running.started_at)
                self._outcomes.append(outcome)
                self._bytes_added += len(outcome.text)
        if self._all_started and not self._running:
            self._end()

    def _fail(self, error: BaseException) -> None:
        if not (self.discarded or self.interrupted or self._ended):
            self._error = error
            self.discard()

    def _end(self) -> None:
        self._ended = True
        self._wake.set()
