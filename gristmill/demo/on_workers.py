"""What work takes on the workers of this host."""

import time
from collections.abc import Sequence
from contextlib import suppress
from typing import Any

import psutil

from gristmill.demo.one_core import Measured
from gristmill.errors import GristmillError
from gristmill.local.fleet import LocalFleet
from gristmill.producer.batch import Batch
from gristmill.producer.submit import submit
from gristmill.tasks.kinds import Kind

#: Seconds between two looks at a batch.
_EVERY = 0.05


def measure_on(fleet: LocalFleet, kind: Kind, task: str, items: Sequence[Any]) -> Measured:
    """Run `items` as one batch on the worker of a kind, whatever the task's own kind.

    Seconds are from before the first item is sent until the last is recorded; processor seconds are the workers',
    without the server's.

    Raises:
        GristmillError: an item failed; the text says why.
    """
    cpu, begun = _processor_seconds(fleet.pids), time.time()
    batch = submit(task, items, queue=kind)
    for _ in batch.watch(every=_EVERY):
        fleet.watch()
    info = batch.info()
    ended = info.finished or time.time()
    if info.succeeded < len(items):
        raise GristmillError(
            f"{len(items) - info.succeeded} of {len(items)} items failed on the {kind} worker: {_why(batch)}"
        )
    return Measured(ended - begun, _processor_seconds(fleet.pids) - cpu)


def _why(batch: Batch) -> str:
    errors = (result.error for result in batch.results(follow=False) if result.error)
    return next((f"{error['type']}: {error['message']}" for error in errors), "no reason given")


def _processor_seconds(pids: list[int]) -> float:
    """Processor time of the processes and their children so far."""
    total = 0.0
    for member in (member for pid in pids for member in _family(pid)):
        with suppress(psutil.NoSuchProcess):
            used = member.cpu_times()
            total += used.user + used.system
    return total


def _family(pid: int) -> list[psutil.Process]:
    try:
        parent = psutil.Process(pid)
        return [parent, *parent.children(recursive=True)]
    except psutil.NoSuchProcess:
        return []
