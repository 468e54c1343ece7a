"""Tasks with a time limit that their batch may change."""

import asyncio
import time

from gristmill import cpu, io


@cpu(time_limit=0.1, retries=5)
def sleepy(seconds: float) -> float:
    time.sleep(seconds)
    return seconds


@io(time_limit=0.1, retries=5)
async def dozing(seconds: float) -> float:
    await asyncio.sleep(seconds)
    return seconds
