"""A context variable's value for the time of a `with`. From Python 3.14 on, the token of a variable does that."""

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import TypeVar

T = TypeVar("T")


@contextmanager
def let(variable: ContextVar[T], value: T) -> Iterator[None]:
    """Give the variable this value until the context ends."""
    token = variable.set(value)
    try:
        yield
    finally:
        variable.reset(token)
