"""The event loop on which a process runs the coroutines of many items; it has a thread of its own."""

import asyncio
import logging
import threading
from collections.abc import Coroutine
from typing import Any, TypeVar

from gristmill.config.settings import settings
from gristmill.server.per_process import PerProcess
from gristmill.worker.limits import TimeLimitExceeded
from gristmill.worker.loop.coroutine_run import CoroutineRun
from gristmill.worker.loop.loop_watch import LoopWatch
from gristmill.worker.loop.places import Places

log = logging.getLogger(__name__)
T = TypeVar("T")


class EventLoop:
    """One event loop with room for `places` items at once. The slots of a process share it."""

    def __init__(self, places: int) -> None:
        self.loop = asyncio.new_event_loop()
        self.places = Places(places)
        #: What runs, and the id of the message under which it runs, which others may have too.
        self.runs: dict[CoroutineRun, str] = {}
        self.thread = threading.Thread(target=self._serve, name="event loop", daemon=True)
        self.thread.start()
        self._watch = LoopWatch(self.loop, self.thread, self.runs)

    def _serve(self) -> None:
        asyncio.set_event_loop(self.loop)
        while True:
            try:
                self.loop.run_forever()
            except BaseException as error:
                # A coroutine that an item started beside its own may call sys.exit: that ends nobody else.
                log.warning("a coroutine raised %r into the event loop, which goes on", error)

    def run(self, coroutine: Coroutine[Any, Any, T], seconds: float) -> T:
        """Run a task's setup on the loop, and wait for it in this thread; 0 `seconds`: for as long as it takes.

        Raises:
            TimeLimitExceeded: it takes longer; the loop cancels it.
        """
        future = asyncio.run_coroutine_threadsafe(coroutine, self.loop)
        try:
            return future.result(seconds or None)
        except TimeoutError:
            if future.done():
                raise
            future.cancel()
            raise TimeLimitExceeded(seconds, "setup") from None

    def begin(self, message: str, run: CoroutineRun) -> None:
        """Start the items of a chunk, which runs under the message with the id `message`."""
        self.runs[run] = message
        self._watch.wake()
        # In this thread, whose context goes along: log lines of the items name their chunk.
        run.start(self.loop, self.places)

    def end(self, run: CoroutineRun) -> None:
        """Forget a run, and cancel what is left of it: its slot goes on without it."""
        del self.runs[run]
        self.loop.call_soon_threadsafe(run.discard_rest)


_loops: PerProcess[str, EventLoop] = PerProcess()


def event_loop() -> EventLoop:
    """The event loop of this process; a forked process starts one of its own."""
    return _loops.get("loop", lambda: EventLoop(settings().async_slots))


def cancel_run(message: str) -> bool:
    """Cancel the items that run under a message, for good: nothing of them is recorded. False when there are none."""
    runs = [(loop.loop, run) for loop in _loops.all() for run, under in list(loop.runs.items()) if under == message]
    for loop, run in runs:
        loop.call_soon_threadsafe(run.discard)
    return bool(runs)


def cancel_item(batch: str, index: int) -> bool:
    """Cancel one item, for good: nothing of it is recorded. False when no run has it."""
    for loop in _loops.all():
        for run, message in list(loop.runs.items()):
            if message.partition(":")[0] == batch and run.has(index):
                loop.loop.call_soon_threadsafe(run.cancel_item, index)
                return True
    return False


def interrupt_runs(seconds: float) -> None:
    """Cancel all items, which are to run again elsewhere, and give them `seconds` to end."""
    for loop in _loops.all():
        ended = asyncio.run_coroutine_threadsafe(_interrupt(list(loop.runs), seconds), loop.loop)
        try:
            # A loop that stands still does not answer.
            ended.result(seconds + 1)
        except TimeoutError:
            ended.cancel()


async def _interrupt(runs: list[CoroutineRun], seconds: float) -> None:
    tasks = [task for run in runs for task in run.interrupt()]
    if tasks:
        await asyncio.wait(tasks, timeout=seconds)
