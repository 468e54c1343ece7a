"""What a worker measures beside its chunks: the load of its host, and the plain Celery tasks that it runs."""

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

# It measures between two calls: this is the first.
psutil.cpu_percent()

_lock = threading.Lock()
_counts: Counter[tuple[str, str, str]] = Counter()


def load() -> dict[str, Any]:
    """The host's load, for the beat: cores, percent of them busy since the last call, memory in MiB."""
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
    """Count a plain Celery task that has ended. One that goes back to its queue is none."""
    if isinstance(error, Ignore | Reject | Retry):
        return
    with _lock:
        _counts[queue, task, "f" if error else "s"] += 1
        if seconds is not None:
            _counts[queue, task, "b"] += round(seconds * 1000)
            _counts[queue, task, f"r{bucket(seconds)}"] += 1


def taken() -> list[tuple[str, str, str, int]]:
    """What was counted since the last call: queue, task, what, number."""
    with _lock:
        found = [(*key, number) for key, number in _counts.items()]
        _counts.clear()
    return found
