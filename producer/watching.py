"""Watches the counters of batches until they have ended, or the wait for them is over."""

import time
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any, TypeAlias

from gristmill.batches.info import ENDED, BatchInfo
from gristmill.producer.batch_options import checked_duration
from gristmill.server.waiting import NEVER, Deadline

if TYPE_CHECKING:
    from gristmill.producer.batch import Batch

#: How long to wait at most: seconds, or text such as `10m`; None: no limit.
MaxWait: TypeAlias = str | float | None
#: Seconds between two looks at the counters of a batch.
_POLL_SECONDS = 0.2


def deadline_of(max_wait: MaxWait) -> Deadline:
    """When a wait of `max_wait` that starts now is over.

    Raises:
        InputError: the value is not valid.
    """
    return Deadline(None if max_wait is None else checked_duration(max_wait, "max_wait", 0))


def watch(batch: "Batch[Any]", deadline: Deadline = NEVER, every: float = _POLL_SECONDS) -> Iterator[BatchInfo]:
    """Yield the counters of a batch every `every` seconds; the last ones are those with which it ended.

    Raises:
        TimeoutError: the batch has not ended at the deadline; it goes on.
    """
    return (info for (info,) in watch_all([batch], deadline, every))


def watch_all(
    batches: "Sequence[Batch[Any]]", deadline: Deadline = NEVER, every: float = _POLL_SECONDS, *, first: bool = False
) -> Iterator[list[BatchInfo]]:
    """Yield the counters of batches, in their order, until each has ended once, or with `first`, until one has.

    Raises:
        TimeoutError: some have not ended at the deadline; they go on.
    """
    latest: dict[str, BatchInfo] = {}
    while True:
        left = [batch for batch in batches if batch.name not in latest or latest[batch.name].state not in ENDED]
        latest |= {batch.name: batch.info() for batch in left}
        infos = [latest[batch.name] for batch in batches]
        yield infos
        if (any if first else all)(info.state in ENDED for info in infos):
            return
        check(", ".join(info.name for info in infos if info.state not in ENDED), deadline)
        # A look at many batches is many calls.
        time.sleep(max(every, len(left) / 100))


def check(name: str, deadline: Deadline) -> None:
    """Raise TimeoutError when the wait for a batch is over."""
    if deadline.over:
        raise TimeoutError(f"batch {name!r} has not ended after {deadline.seconds:g} s; it goes on")
