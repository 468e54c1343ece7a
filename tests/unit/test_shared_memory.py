"""What a worker does to its memory before it forks the processes of its pool."""

import sys

from gristmill.worker.pool.shared_memory import freeze


class _Looked:
    pass


def test_the_cache_of_attributes_holds_no_name():
    """Else a process that looks up another attribute writes to that name, on a page that it shared until then."""
    names = [f"attribute_{number}" for number in range(1000)]
    for name in names:
        getattr(_Looked, name, None)
    before = sum(map(sys.getrefcount, names))
    freeze()
    assert sum(map(sys.getrefcount, names)) < before
