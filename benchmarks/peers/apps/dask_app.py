"""Dask's distributed scheduler, and two workers of one thread each."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager

from distributed import Client, LocalCluster


@contextmanager
def pool() -> Iterator[Callable[[Callable[[int], int], range], None]]:
    """Two workers."""
    with (
        LocalCluster(n_workers=2, threads_per_worker=1, dashboard_address=None) as cluster,
        Client(cluster) as client,
    ):

        def run(function: Callable[[int], int], numbers: range) -> None:
            client.gather(client.map(function, numbers, pure=False))

        yield run
