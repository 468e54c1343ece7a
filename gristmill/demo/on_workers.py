"""Measures work on the workers of this host."""

import time
from collections.abc import Iterable, Sequence
from contextlib import suppress
from typing import Any

import psutil

from gristmill.demo.one_core import Measurement
from gristmill.errors import GristmillError
from gristmill.local.fleet import LocalFleet
from gristmill.producer.batch import Batch
from gristmill.producer.submit import submit
from gristmill.producer.watching import watch
from gristmill.tasks.kind import Kind

#: Seconds between two looks at a batch.
_EVERY = 0.05


def measure_on(fleet: LocalFleet, kind: Kind, task: str, items: Sequence[Any]) -> Measurement:
    """Run `items` as one batch on the worker of a kind, whatever the task's own kind.

    The seconds run from before the producer sends the first item until the server has the last result. The processor
    seconds are those of the workers, without the server.

    Raises:
        GristmillError: an item failed; the text has its error.
    """
    cpu, started_at = processor_seconds(fleet.pids), time.time()
    batch = submit(task, items, queue=kind)
    for _ in watch(batch, every=_EVERY):
        fleet.watch()
    info = batch.info()
    finished_at = info.finished or time.time()
    if info.succeeded < len(items):
        raise GristmillError(
            f"{len(items) - info.succeeded} of {len(items)} items failed on the {kind} worker: {_why(batch)}"
        )
    return Measurement(finished_at - started_at, processor_seconds(fleet.pids) - cpu)


def _why(batch: Batch) -> str:
    errors = (result.error for result in batch.results(follow=False) if result.error)
    return next((f"{error['type']}: {error['message']}" for error in errors), "no reason given")


def processor_seconds(pids: Iterable[int]) -> float:
    """Processor time of the processes and their children so far."""
    total = 0.0
    for pid in pids:
        with suppress(psutil.NoSuchProcess):
            parent = psutil.Process(pid)
            for member in (*parent.children(recursive=True), parent):
                with suppress(psutil.NoSuchProcess):
                    used = member.cpu_times()
                    total += used.user + used.system
    return total
