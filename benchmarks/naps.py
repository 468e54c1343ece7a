"""The tasks of `python -m benchmarks.autoscale`: items that take their time and next to no core."""

import time

from gristmill import cpu, io


@cpu
def nap(seconds: float) -> None:
    """Take so many seconds in a process."""
    time.sleep(seconds)


@io
def doze(seconds: float) -> None:
    """Take so many seconds in a thread."""
    time.sleep(seconds)
