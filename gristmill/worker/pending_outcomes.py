"""The outcomes of running chunks that are not recorded yet: while an item takes long, those before it are recorded."""

import logging
import os
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from time import perf_counter

from gristmill.batches.chunk import Outcome
from gristmill.worker.rare_log import RareLog

#: Seconds between two looks. An item that has run since the last look takes long.
LOOK_SECONDS = 0.5

rare_log = RareLog(logging.getLogger(__name__))


class PendingOutcomes:
    """The outcomes of one chunk that are not recorded yet; the slot appends them, and takes them to record them.

    `record` records some of them, with the seconds that they took, while the chunk goes on. `may_record` says whether
    it may: some outcomes may be replaced before they are recorded.
    """

    def __init__(self, record: Callable[[list[Outcome], float], object], may_record: Callable[[], bool]) -> None:
        self._record, self._may_record = record, may_record
        #: The slot appends to this list, which stays the same one: a call of ours for each item would cost as much.
        self.outcomes: list[Outcome] = []
        self._last: Outcome | None = None
        self._lock = threading.Lock()
        #: When the first of them began, in seconds of `time.perf_counter()`.
        self.started_at = perf_counter()

    def take(self) -> tuple[list[Outcome], float]:
        """What is not recorded, with the time at which the first of that began; the slot records it."""
        with self._lock:
            outcomes, started_at = self.outcomes.copy(), self.started_at
            self.outcomes.clear()
            self.started_at = perf_counter()
            return outcomes, started_at

    def look(self) -> None:
        """Record what there is if the slot has added nothing since the last look; called by another thread."""
        with self._lock:
            # A copy before the question: the slot notes what ran out of memory before it appends that outcome.
            outcomes = self.outcomes.copy()
            last = outcomes[-1] if outcomes else None
            is_long, self._last = last is self._last, last
            if last is None or not is_long or not self._may_record():
                return
            seconds = sum(outcome.seconds for outcome in outcomes)
            try:
                self._record(outcomes, seconds)
            except Exception as error:
                # The slot records them at the end of the chunk, and the thread has other chunks to look at.
                rare_log.warning("early", "outcomes wait for the end of their chunk: %r", error)
                return
            del self.outcomes[: len(outcomes)]
            self.started_at += seconds


class EarlyRecorder:
    """The thread of a process that looks at its running chunks; it sleeps while there is none."""

    def __init__(self) -> None:
        self._running: set[PendingOutcomes] = set()
        self._busy = threading.Event()
        self._lock = threading.Lock()
        self._has_thread = False

    @contextmanager
    def of(self, pending: PendingOutcomes) -> Iterator[PendingOutcomes]:
        """Look at a chunk meanwhile."""
        self._running.add(pending)
        if not self._busy.is_set():
            self._wake()
        try:
            yield pending
        finally:
            self._running.discard(pending)

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
            for pending in tuple(self._running):
                pending.look()
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
