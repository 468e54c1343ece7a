"""`python -m gristmill.demo.methods`: run items in this process, in threads or in a pool, and measure it.

Reads a line with a JSON object from standard input (`method`, `task`, `items`, `width`) and prints one: `seconds` of
wall time for all items, `cpu_seconds` of processor time that they took, and whether the interpreter had a `gil`.
Each method has a process of its own, so that it starts from the same state and leaves nothing behind. The process and
its children end when standard input closes.
"""

import json
import multiprocessing
import resource
import signal
import sys
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from queue import Empty, SimpleQueue
from threading import Thread
from typing import Any, NamedTuple

from gristmill.local.parent_death import end_with_parent
from gristmill.tasks import catalog


def sequentially(function: Callable[[Any], Any], items: Sequence[Any], _width: int) -> None:
    """One item after another."""
    for item in items:
        function(item)


def in_threads(function: Callable[[Any], Any], items: Sequence[Any], width: int) -> None:
    """`width` times `threading.Thread`, which take the items from one queue."""
    todo: SimpleQueue[Any] = SimpleQueue()
    for item in items:
        todo.put(item)
    failures: list[Exception] = []

    def work() -> None:
        while not failures:
            try:
                item = todo.get_nowait()
            except Empty:
                return
            try:
                function(item)
            except Exception as failure:
                failures.append(failure)

    threads = [Thread(target=work) for _ in range(width)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    if failures:
        raise failures[0]


def in_executor(function: Callable[[Any], Any], items: Sequence[Any], width: int) -> None:
    """`concurrent.futures.ThreadPoolExecutor` of `width` threads."""
    with ThreadPoolExecutor(width) as pool:
        list(pool.map(function, items))


def in_processes(function: Callable[[Any], Any], items: Sequence[Any], width: int) -> None:
    """`multiprocessing.Pool` of `width` processes, as items complete."""
    # Forked processes have the function already. Sending it would send its name, which is that of the Celery task.
    _Forked.function = staticmethod(function)
    pool = multiprocessing.get_context("fork").Pool(width)
    answers = list(pool.imap_unordered(_forked, items))
    # Ended in order: `terminate`, which the pool's context calls, may wait for ever for a process that takes an item.
    pool.close()
    pool.join()
    for answer in answers:
        if isinstance(answer, _Failure):
            raise answer.error


class _Forked:
    function: Callable[[Any], Any]


class _Failure(NamedTuple):
    """What a forked process answers for an item that failed."""

    error: Exception


def _forked(item: Any) -> Any:
    try:
        return _Forked.function(item)
    except Exception as error:
        return _Failure(error)


METHODS: dict[str, Callable[[Callable[[Any], Any], Sequence[Any], int], None]] = {
    "sequential": sequentially,
    "threading": in_threads,
    "ThreadPoolExecutor": in_executor,
    "multiprocessing.Pool": in_processes,
}


def _processor_seconds() -> float:
    used = [resource.getrusage(part) for part in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
    return sum(usage.ru_utime + usage.ru_stime for usage in used)


def _has_gil() -> bool:
    # Called after all imports: an extension that needs the GIL brings it back. Python 3.13 has the function.
    return bool(getattr(sys, "_is_gil_enabled", lambda: True)())


def main() -> None:
    """Measure the work that standard input describes."""
    request = json.loads(sys.stdin.readline())
    end_with_parent(signal.SIGKILL, group=True)
    function = catalog.find(request["task"]).run
    cpu, started_at = _processor_seconds(), time.perf_counter()
    METHODS[request["method"]](function, request["items"], request["width"])
    seconds = time.perf_counter() - started_at
    measurement = {"seconds": seconds, "cpu_seconds": _processor_seconds() - cpu, "gil": _has_gil()}
    print(json.dumps(measurement))  # noqa: T201


if __name__ == "__main__":
    main()
