"""`python -m producer.samples.local`: run items in this process, in threads or in a pool, and say how long it took.

Reads one JSON object from standard input (`method`, `task`, `items`, `width`) and prints one: `seconds` of wall
time for all items, and `cpu_seconds` of processor time that they took. A process of its own, so that every method
starts from the same state and leaves nothing behind.
"""

import json
import multiprocessing
import resource
import sys
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from tasks import catalog


def sequentially(function: Callable[[Any], Any], items: Sequence[Any], _width: int) -> None:
    """One item after another."""
    for item in items:
        function(item)


def in_threads(function: Callable[[Any], Any], items: Sequence[Any], width: int) -> None:
    """`width` threads of this process."""
    with ThreadPoolExecutor(width) as pool:
        list(pool.map(function, items))


def in_processes(function: Callable[[Any], Any], items: Sequence[Any], width: int) -> None:
    """`multiprocessing.Pool` of `width` processes, as items complete."""
    # Forked processes know the function already: only its name could be sent, and that names the Celery task.
    _Forked.function = staticmethod(function)
    with multiprocessing.get_context("fork").Pool(width) as pool:
        for _ in pool.imap_unordered(_forked, items):
            pass


class _Forked:
    function: Callable[[Any], Any]


def _forked(item: Any) -> Any:
    return _Forked.function(item)


METHODS: dict[str, Callable[[Callable[[Any], Any], Sequence[Any], int], None]] = {
    "sequential": sequentially,
    "threading": in_threads,
    "multiprocessing.Pool": in_processes,
}


def _processor_seconds() -> float:
    used = [resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
    return sum(usage.ru_utime + usage.ru_stime for usage in used)


def main() -> None:
    """Measure what standard input asks for."""
    asked = json.load(sys.stdin)
    function = catalog.find(asked["task"]).run
    cpu, begun = _processor_seconds(), time.perf_counter()
    METHODS[asked["method"]](function, asked["items"], asked["width"])
    seconds = time.perf_counter() - begun
    print(json.dumps({"seconds": seconds, "cpu_seconds": _processor_seconds() - cpu}))  # noqa: T201


if __name__ == "__main__":
    main()
