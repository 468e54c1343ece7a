"""Values of context variables that last as long as a `with`; from Python 3.14 on, their tokens do that."""

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import TypeVar

T = TypeVar("T")


@contextmanager
def let(variable: ContextVar[T], value: T) -> Iterator[None]:
    """Have `variable` the value `value` in this context."""
    token = variable.set(value)
    try:
        yield
    finally:
        variable.reset(token)
