"""What ran out of memory runs once more, alone: in a child process, one such item at a time on a host."""

import fcntl
import logging
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress

from gristmill.batches.chunk import Item, Outcome, Work
from gristmill.tasks.setup import SetupFailed
from gristmill.worker.limits import time_limit
from gristmill.worker.pool.slot_numbers import DIRECTORY, open_locked
from gristmill.worker.slot.quarantine import QuarantineUnavailable

#: The file that whoever runs such an item holds locked: no queue has this name.
LOCK = ".once-more"

log = logging.getLogger(__name__)


def run_once_more(work: Work, outcomes: list[Outcome], run: Callable[[Item], Outcome]) -> None:
    """Run the items of `work.out_of_memory` by `run`, and put their outcomes in the place of those in `outcomes`.

    Where no child process starts, the first outcome stands.
    """
    items = {item.index: item for item in work.out_of_memory}
    work.out_of_memory.clear()
    # It watches the process for the item that has ended.
    time_limit.rest()
    for place, outcome in enumerate(outcomes):
        if outcome.index in items:
            log.warning("item %d ran out of memory: it runs once more, alone", outcome.index)
            with suppress(QuarantineUnavailable, SetupFailed), _only_one():
                outcomes[place] = run(items[outcome.index])


@contextmanager
def _only_one() -> Iterator[None]:
    """Wait until no other process of this host is here; where that cannot be told, go on."""
    file = None
    with suppress(OSError):
        file, _ = open_locked(DIRECTORY, LOCK, lambda file: fcntl.flock(file, fcntl.LOCK_EX))
    try:
        yield
    finally:
        if file is not None:
            (DIRECTORY / LOCK).unlink(missing_ok=True)
            os.close(file)
