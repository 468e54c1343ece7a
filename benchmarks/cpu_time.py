"""The CPU time of a process as the scheduler counts it: clock ticks of 10 ms are too coarse for a few seconds."""

from contextlib import suppress
from pathlib import Path

import psutil


def scheduled(process: psutil.Process) -> float:
    """Seconds of CPU of its threads that live, to the nanosecond."""
    seconds = 0.0
    for path in Path(f"/proc/{process.pid}/task").glob("*/schedstat"):
        # A thread may end meanwhile.
        with suppress(OSError):
            seconds += int(path.read_text().split()[0]) / 1e9
    return seconds
