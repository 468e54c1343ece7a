"""A task of short waits, for the workers of `python -m benchmarks.rates`."""

import time

from gristmill.tasks.kinds import io


@io
def brief(group: int) -> None:  # noqa: ARG001 - the item
    """Wait for 50 ms."""
    time.sleep(0.05)
