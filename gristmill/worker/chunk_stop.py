"""Whether a running chunk should stop: its batch was paused, cancelled or deleted."""

import time

from redis.exceptions import RedisError

from gristmill.batches.chunk import Chunk
from gristmill.batches.ledger import Ledger
from gristmill.worker.limits import time_limit

#: Seconds between two questions to the server; the start of the chunk was the first.
ASK_SECONDS = 1.0


class Stop:
    """Called between items; asks the server once in ASK_SECONDS at most."""

    def __init__(self, ledger: Ledger, chunk: Chunk) -> None:
        self._ledger, self._chunk = ledger, chunk
        #: When to ask next, in seconds of `time.perf_counter()`.
        self.due_at = time.perf_counter() + ASK_SECONDS

    def __call__(self) -> bool:
        """Whether no more items of the chunk should start."""
        now = time.perf_counter()
        if now < self.due_at:
            return False
        self.due_at = now + ASK_SECONDS
        time_limit.rest()
        try:
            return self._ledger.stopped(self._chunk)
        except RedisError:
            # The record that follows notices the same, and waits for the server.
            return False
