"""A task of either side's workers: a Fibonacci number, computed at a place of Python's stack that the item tells."""

from gristmill import cpu

#: The Fibonacci number that takes some three quarters of a millisecond.
COMPUTED = 20


def _fibonacci(n: int) -> int:
    return n if n < 2 else _fibonacci(n - 1) + _fibonacci(n - 2)


def _below(frames: int) -> int:
    return _below(frames - 1) if frames else _fibonacci(COMPUTED)


@cpu
def deep_fibonacci(frames: int) -> int:
    """Compute it so many frames further down."""
    return _below(frames)
