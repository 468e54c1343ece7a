"""Tasks of ours that answer where they ran, from when to when."""

import os
import threading
import time

from benchmarks.peers.apps.work import WAIT_SECONDS, fibonacci, size
from gristmill.tasks.kinds import cpu, io


def _place() -> str:
    return f"{os.getpid()} {threading.get_ident()}"


@cpu
def computed(number: int) -> tuple[str, float, float]:
    """About 10 ms of CPU; where, from when, to when."""
    started_at = time.time()
    fibonacci(size(number))
    return _place(), started_at, time.time()


@io
def waited(number: int) -> tuple[str, float, float]:  # noqa: ARG001 - like the other
    """100 ms of waiting; where, from when, to when."""
    started_at = time.time()
    time.sleep(WAIT_SECONDS)
    return _place(), started_at, time.time()
