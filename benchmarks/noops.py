"""Tasks of ours that do nothing, or next to it, for workers of a benchmark."""

import os

from gristmill.tasks.kinds import cpu


@cpu
def noop(number: int) -> None:
    """Nothing at all."""


@cpu
def pid() -> int:
    """The process of the item."""
    return os.getpid()
