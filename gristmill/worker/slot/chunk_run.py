"""The run of a chunk in a slot: while an item takes long, what the slot has is recorded, and the rest given back."""

import logging
import os
import threading
import time
from collections import deque
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import replace
from time import perf_counter

from gristmill.batches.chunk import Chunk, Outcome, Work
from gristmill.batches.ledger import Ledger
from gristmill.worker.rare_log import RareLog

#: Seconds between two looks. An item that has run since the last look takes long.
LOOK_SECONDS = 0.5

rare_log = RareLog(logging.getLogger(__name__))


class ChunkRun:
    """What a slot has of its chunk: the items that have not started, and the outcomes that are not recorded yet.

    The slot takes items from the left of `waiting` and appends their outcomes. Another thread calls `look`: while an
    item takes long, that records the outcomes and, with `may_give`, takes the waiting items from the right and leaves
    them to other slots. Each item is taken once, because a deque's ends are taken in one step.
    """

    def __init__(self, ledger: Ledger, work: Work, worker: str, *, may_give: bool) -> None:
        self._ledger, self._work, self._worker, self._may_give = ledger, work, worker, may_give
        #: What this slot holds on the server: it shrinks when the rest is given back.
        self.chunk = work.chunk
        self.waiting = deque(work.items)
        self._waiting_at_last_look = len(work.items)
        #: The index of the first item behind those that are this slot's.
        self._end = self.chunk.first + self.chunk.count - work.rest
        #: The slot appends to this list, which stays the same one: a call of ours for each item would cost as much.
        self.outcomes: list[Outcome] = []
        self._lock = threading.Lock()
        #: When the first of them began, in seconds of `time.perf_counter()`.
        self.started_at = perf_counter()

    def take(self) -> tuple[list[Outcome], float]:
        """What is not recorded, with the time at which the first of that began; the slot records it."""
        with self._lock:
            return self._take()

    def end(self, behind: int | None) -> tuple[Chunk, list[Outcome], float, int]:
        """The chunk as it is now, what `take` answers, and how many of the chunk's last items go to other slots.

        The slot starts no items from the index `behind` on; with None, it has run all that it had.
        """
        with self._lock:
            self.waiting.clear()
            self._may_give = False
            rest = self.chunk.first + self.chunk.count - (self._end if behind is None else behind)
            return self.chunk, *self._take(), rest

    def _take(self) -> tuple[list[Outcome], float]:
        outcomes, started_at = self.outcomes.copy(), self.started_at
        self.outcomes.clear()
        self.started_at = perf_counter()
        return outcomes, started_at

    def look(self) -> None:
        """If the slot has started no item since the last look: record what there is, and give the rest back."""
        with self._lock:
            # A copy before the question: the slot notes what ran out of memory before it appends that outcome.
            outcomes = self.outcomes.copy()
            if not self._is_long() or self._work.out_of_memory:
                return
            rest = self._leave_rest() if self._may_give else 0
            if not outcomes and not rest:
                return
            seconds = sum(outcome.seconds for outcome in outcomes)
            try:
                self._record(outcomes, seconds, rest)
            except Exception as error:
                # The slot records them at the end of the chunk, and the thread has other chunks to look at.
                rare_log.warning("early", "outcomes wait for the end of their chunk: %r", error)
                return
            del self.outcomes[: len(outcomes)]
            self.started_at += seconds

    def _is_long(self) -> bool:
        before, self._waiting_at_last_look = self._waiting_at_last_look, len(self.waiting)
        return before == self._waiting_at_last_look < len(self._work.items)

    def _leave_rest(self) -> int:
        with suppress(IndexError):
            while True:
                self._end = self.waiting.pop().index
        self._waiting_at_last_look = 0
        return self.chunk.first + self.chunk.count - self._end

    def _record(self, outcomes: list[Outcome], seconds: float, rest: int) -> None:
        if not rest:
            self._ledger.record(self.chunk, outcomes, seconds, self._worker, -1)
        elif self._ledger.give_rest(self.chunk, outcomes, seconds, self._worker, rest):
            self.chunk = replace(self.chunk, count=self.chunk.count - rest)
        else:
            # The chunk is another slot's too, or over. The end of this run tells the server of the rest.
            self._may_give = False


class EarlyRecorder:
    """The thread of a process that looks at its running chunks; it sleeps while there is none."""

    def __init__(self) -> None:
        self._running: set[ChunkRun] = set()
        self._busy = threading.Event()
        self._lock = threading.Lock()
        self._has_thread = False

    @contextmanager
    def of(self, run: ChunkRun) -> Iterator[ChunkRun]:
        """Look at a chunk meanwhile."""
        self._running.add(run)
        if not self._busy.is_set():
            self._wake()
        try:
            yield run
        finally:
            self._running.discard(run)

    def _wake(self) -> None:
        with self._lock:
            self._busy.set()
            if self._has_thread:
                return
            try:
                threading.Thread(target=self._look, name="early recorder", daemon=True).start()
                self._has_thread = True
            except RuntimeError as error:
                # A task has outcomes all threads that there may be.
                self._busy.clear()
                rare_log.warning("thread", "outcomes wait for the end of their chunk: %s", error)

    def _look(self) -> None:
        while self._busy.wait():
            time.sleep(LOOK_SECONDS)
            for run in tuple(self._running):
                run.look()
            if not self._running:
                self._busy.clear()
                # A slot that began just now did not wake this thread.
                if self._running:
                    self._busy.set()


early_recorder = EarlyRecorder()


def _begin_anew() -> None:
    # Threads do not survive a fork.
    early_recorder.__init__()  # type: ignore[misc]


os.register_at_fork(after_in_child=_begin_anew)
