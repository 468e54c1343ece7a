"""Tasks of ours that wait, or answer where they ran from when to when, for workers of a benchmark."""

import asyncio
import os
import threading
import time

from benchmarks.peers.apps.work import WAIT_SECONDS, fibonacci, size
from gristmill.tasks.kinds import cpu, io


@cpu
def nap(seconds: float) -> None:
    """Take so many seconds in a process, and next to no core."""
    time.sleep(seconds)


@io
def doze(seconds: float) -> None:
    """Take so many seconds in a thread."""
    time.sleep(seconds)


@io
def brief(group: int) -> None:  # noqa: ARG001 - the item
    """Wait for 50 ms in a thread."""
    time.sleep(0.05)


@io
def sleep(number: int) -> None:  # noqa: ARG001 - the item
    """Wait for 100 ms in a thread."""
    time.sleep(WAIT_SECONDS)


@io
async def wait(number: int) -> None:  # noqa: ARG001 - the item
    """Wait for 100 ms on the event loop."""
    await asyncio.sleep(WAIT_SECONDS)


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
