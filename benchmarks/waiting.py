"""Tasks of ours that wait 100 ms, for workers of a benchmark."""

import asyncio
import time

from benchmarks.peers.apps.work import WAIT_SECONDS
from gristmill.tasks.kinds import io


@io
def sleep(number: int) -> None:  # noqa: ARG001 - the item
    """Wait in a thread."""
    time.sleep(WAIT_SECONDS)


@io
async def wait(number: int) -> None:  # noqa: ARG001 - the item
    """Wait on the event loop."""
    await asyncio.sleep(WAIT_SECONDS)
