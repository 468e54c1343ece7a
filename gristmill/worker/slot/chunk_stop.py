"""Whether a running chunk should stop, and whether its slot may go on with the next chunk of the batch."""

from time import monotonic, perf_counter

from redis.exceptions import RedisError

from gristmill.batches.chunk import Chunk, Outcome
from gristmill.batches.ledger import Ledger
from gristmill.worker.celery_internals import is_draining
from gristmill.worker.limits import time_limit
from gristmill.worker.runs.rows import run_rows

#: Seconds between two questions to the server; the start of the chunk was the first.
ASK_SECONDS = 1.0
#: The same where a batch has a `halt`; and seconds between two records that may end such a batch.
HALT_ASK_SECONDS, HALT_RECORD_SECONDS = 0.1, 0.05
#: Seconds for which a slot stays with its batch at most, even if nothing else waits: its worker may have other queues.
STAY_SECONDS = 10.0


class Stop:
    """Called between items: whether the batch was paused, cancelled or deleted; asks now and then."""

    def __init__(self, ledger: Ledger, chunk: Chunk, halt: str = "") -> None:
        self._ledger, self._chunk, self._halt = ledger, chunk, halt
        self._seconds = HALT_ASK_SECONDS if halt else ASK_SECONDS
        #: When to ask next, in seconds of `time.perf_counter()`.
        self.due_at = perf_counter() + self._seconds
        #: Whether an outcome that may end the batch is to be recorded, and when at the earliest.
        self._may_halt, self._record_at = False, 0.0

    def halts(self, outcome: Outcome) -> bool:
        """Whether the outcomes so far, the last of which this is, are to be recorded now: they may end the batch."""
        ends = outcome.retry_ms is None and (outcome.state == "succeeded") == ("success" in self._halt)
        self._may_halt = self._may_halt or ends
        now = perf_counter()
        if not self._may_halt or now < self._record_at:
            return False
        self._may_halt, self._record_at = False, now + HALT_RECORD_SECONDS
        self.due_at = now
        return True

    def __call__(self) -> bool:
        """Whether no more items of the chunk should start."""
        now = perf_counter()
        if now < self.due_at:
            return False
        self.due_at = now + self._seconds
        if ends():
            return True
        time_limit.rest()
        try:
            return self._ledger.stopped(self._chunk)
        except RedisError:
            # The record that follows notices the same, and waits for the server.
            return False


def ends() -> bool:
    """Whether this worker drains, or runs more than it has slots for: chunks end at their next item."""
    return run_rows.is_stopped or is_draining()


def may_stay(until: float) -> bool:
    """Whether a slot may stay with its batch after `until`: for a while, and only where it sees its worker drain.

    With 0 it may not, even just after the machine's start.
    """
    return until > 0 and run_rows.are_shared and not ends() and monotonic() < until + STAY_SECONDS
