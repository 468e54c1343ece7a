"""Tasks of ours that do nothing, or next to it, for workers of a benchmark."""

import os

from gristmill import Batch
from gristmill.tasks.kinds import cpu


@cpu
def noop(number: int) -> None:
    """Nothing at all."""


@cpu
def same(number: int) -> int:
    """The number."""
    return number


@cpu
def total(numbers: Batch) -> int:
    """The sum of the values of a batch."""
    return sum(numbers.values())


@cpu
def pid() -> int:
    """The process of the item."""
    return os.getpid()
