"""Watches the counters of a batch until the batch has ended, or the wait for it is over."""

import time
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from gristmill.batches.info import ENDED, BatchInfo
from gristmill.server.waiting import NEVER, Deadline

if TYPE_CHECKING:
    from gristmill.producer.batch import Batch

#: Seconds between two looks at the counters of a batch.
_POLL_SECONDS = 0.2


def watch(batch: "Batch[Any]", deadline: Deadline = NEVER, every: float = _POLL_SECONDS) -> Iterator[BatchInfo]:
    """Yield the counters of a batch every `every` seconds; the last ones are those with which it ended.

    Raises:
        TimeoutError: the batch has not ended at the deadline; it goes on.
    """
    while True:
        info = batch.info()
        yield info
        if info.state in ENDED:
            return
        check(batch.name, deadline)
        time.sleep(every)


def check(name: str, deadline: Deadline) -> None:
    """Raise TimeoutError when the wait for a batch is over."""
    if deadline.over:
        raise TimeoutError(f"batch {name!r} has not ended after {deadline.seconds:g} s; it goes on")
