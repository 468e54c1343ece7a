"""Coroutine tasks for the tests: what they wait for, and what they do when they are cancelled."""

import asyncio
import threading
import time
from contextlib import suppress

from gristmill.tasks.kinds import io

#: Items that run at this moment, the most so far, and those that noticed their cancellation.
running: list[int] = []
most: list[int] = [0]
cancelled: list[int] = []
#: Opens for the items of `wait_for_gate`.
gate = threading.Event()


@io
async def wait_together(n: int) -> int:
    """Wait until 40 items run side by side, or for a second."""
    running.append(n)
    most[0] = max(most[0], len(running))
    for _ in range(100):
        if most[0] >= 40:
            break
        await asyncio.sleep(0.01)
    running.remove(n)
    return n


@io
async def wait_for_gate(n: int) -> int:
    """Wait until the gate opens."""
    running.append(n)
    try:
        while not gate.is_set():
            await asyncio.sleep(0.01)
    except asyncio.CancelledError:
        cancelled.append(n)
        raise
    return n


@io(time_limit=0.2, retries=1)
async def wait_too_long(n: int) -> int:
    """Wait for longer than the time limit."""
    try:
        await asyncio.sleep(60)
    except asyncio.CancelledError:
        cancelled.append(n)
        raise
    return n


@io(time_limit=0.5)
async def wait_its_time(seconds: int) -> int:
    """Wait 20 s so many times."""
    await asyncio.sleep(20 * seconds)
    return seconds


@io(time_limit=0.1)
async def wait_deaf(n: int) -> int:
    """Catch the cancellation, and go on."""
    for _ in range(2):
        with suppress(asyncio.CancelledError):
            await asyncio.sleep(60)
    await asyncio.sleep(60)
    return n


@io
async def wait_long(n: int) -> int:
    """Wait for a minute, and note the start and the cancellation; item 0 ends at once."""
    running.append(n)
    try:
        await asyncio.sleep(60 if n else 0)
    except asyncio.CancelledError:
        cancelled.append(n)
        raise
    return n


@io
async def fail(n: int) -> int:
    """Raise, each item in another way."""
    raise [ValueError("no"), TimeoutError("its own"), SystemExit(3), asyncio.CancelledError()][n]


@io
async def block(seconds: float) -> float:
    """Hold up the event loop."""
    time.sleep(seconds)
    return seconds
