"""joblib's default processes, in batches whose size it finds itself."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from joblib import Parallel, delayed


@contextmanager
def pool() -> Iterator[Callable[[Callable[[int], int], range], None]]:
    """Two processes."""
    with Parallel(n_jobs=2) as parallel:

        def run(function: Callable[[int], int], numbers: range) -> None:
            call: Any = delayed(function)
            parallel(call(number) for number in numbers)

        yield run
