"""Measures the load of the host, and counts the plain Celery tasks that the worker runs."""

import threading
from collections import Counter
from functools import cache
from pathlib import Path
from typing import Any

import psutil
from celery.exceptions import Ignore, Reject, Retry

from gristmill.batches.histogram import bucket
from gristmill.config.host import cores

_MIB = 1 << 20
#: Files that mark a container.
_MARKS = (Path("/.dockerenv"), Path("/run/.containerenv"))

# psutil measures between two calls: this is the first.
psutil.cpu_percent()

_lock = threading.Lock()
_counts: Counter[tuple[str, str, str]] = Counter()


def host_load() -> dict[str, Any]:
    """The host's load, for the heartbeat: cores, percent of them busy since the last call, memory in MiB."""
    memory = psutil.virtual_memory()
    return {
        "cores": _cores(),
        "cpu": psutil.cpu_percent(),
        "used": round((memory.total - memory.available) / _MIB),
        "memory": round(memory.total / _MIB),
        "container": _container(),
    }


@cache
def _cores() -> int:
    return cores()


@cache
def _container() -> bool:
    return any(mark.exists() for mark in _MARKS)


def count(queue: str, task: str, error: BaseException | str | None, seconds: float | None) -> None:
    """Count a plain Celery task that has ended, and did not go back to its queue; it ran for `seconds`, if known."""
    if isinstance(error, Ignore | Reject | Retry):
        return
    with _lock:
        _counts[queue, task, "f" if error else "s"] += 1
        if seconds is not None:
            _counts[queue, task, "b"] += round(seconds * 1000)
            _counts[queue, task, f"r{bucket(seconds)}"] += 1


def collect() -> list[tuple[str, str, str, int]]:
    """The counts since the last call: queue, task, field (see `TaskCount.take`), number."""
    with _lock:
        counts = [(*key, number) for key, number in _counts.items()]
        _counts.clear()
    return counts
