"""Ray on this machine, with two CPUs, as remote functions."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager

import ray


@contextmanager
def pool() -> Iterator[Callable[[Callable[[int], int], range], None]]:
    """Two CPUs."""
    ray.init(num_cpus=2, include_dashboard=False, log_to_driver=False, logging_level="error")
    try:

        def run(function: Callable[[int], int], numbers: range) -> None:
            remote = ray.remote(function)
            ray.get([remote.remote(number) for number in numbers])

        yield run
    finally:
        ray.shutdown()
