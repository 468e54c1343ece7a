"""Whether a chunk that runs shall stop: its batch was paused, cancelled or forgotten."""

import time

from redis.exceptions import RedisError

from gristmill.batches.chunk import Chunk
from gristmill.batches.ledger import Ledger
from gristmill.worker.limits import time_limit

#: Seconds between two questions; `take` was the first.
ASK_SECONDS = 1.0


class Stop:
    """Asked between items, it asks the server once a second at most."""

    def __init__(self, ledger: Ledger, chunk: Chunk) -> None:
        self._ledger, self._chunk = ledger, chunk
        self._asked = time.monotonic()

    def __call__(self) -> bool:
        """Whether no more items of the chunk should begin."""
        now = time.monotonic()
        if now - self._asked < ASK_SECONDS:
            return False
        self._asked = now
        time_limit.rest()
        try:
            return self._ledger.stopped(self._chunk)
        except RedisError:
            # Recording finds out, and is patient.
            return False
