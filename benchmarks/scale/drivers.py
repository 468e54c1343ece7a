"""The processes that drive simulated workers: they begin together, and one of them is a rack that dies."""

import multiprocessing
from contextlib import suppress
from typing import Any

from benchmarks.scale.driver import Driver
from gristmill.config.settings import use
from gristmill.server.connection import client, locate
from gristmill.tasks import catalog

#: Workers that a process drives, that of the rack left out: a process waits for each answer, as a worker does.
WORKERS = 25
#: Seconds in which the processes have to be ready.
START_SECONDS = 120


def _drive(arguments: Any, url: str, ready: Any, go: Any, ended: Any, pipe: Any) -> None:
    # The process that forks this one has the settings of the first server.
    use({"redis_url": url})
    driver = Driver(*arguments)
    catalog.load()
    client().ping()
    ready.release()
    go.wait()
    driver.run(ended.is_set)
    pipe.send(driver.late)


class Drivers:
    """Drives `workers` workers of `slots` slots, of which the last `rack` are in one process. A context manager.

    Slots hold each chunk for about `hold` seconds.
    """

    def __init__(self, workers: int, slots: int, hold: float, storm: float, rack: int) -> None:
        self._context = multiprocessing.get_context("forkserver")
        # Loaded once, and not in each process.
        self._context.set_forkserver_preload([Driver.__module__])
        self._go, self._ended, self._ready = self._context.Event(), self._context.Event(), self._context.Semaphore(0)
        others = workers - rack
        numbers = [range(first, min(first + WORKERS, others)) for first in range(0, others, WORKERS)]
        numbers.append(range(others, workers))
        drivers = [(some, slots, hold, storm) for some in numbers if some]
        self._pipes = [self._context.Pipe() for _ in drivers]
        self._processes = [
            self._context.Process(
                target=_drive, args=(driver, locate(), self._ready, self._go, self._ended, theirs), daemon=True
            )
            for driver, (_, theirs) in zip(drivers, self._pipes, strict=True)
        ]
        #: Seconds by which each call came too late; there when the context has ended.
        self.late: list[float] = []
        self._rack = self._processes[-1] if rack else None

    def __enter__(self) -> "Drivers":
        for process in self._processes:
            process.start()
        for _ in self._processes:
            if not self._ready.acquire(timeout=START_SECONDS):
                raise RuntimeError(f"the processes of the workers are not ready after {START_SECONDS} s")
        return self

    def begin(self) -> None:
        """Let the workers join."""
        self._go.set()

    def kill_rack(self) -> str:
        """Kill the process of the rack, and with it all its workers; returns what their consumers' names contain."""
        assert self._rack
        self._rack.kill()
        self._rack.join()
        return f":{self._rack.pid}:"

    def __exit__(self, *_: object) -> None:
        self._ended.set()
        for process, (ours, _) in zip(self._processes, self._pipes, strict=True):
            if process is self._rack and not process.is_alive():
                continue
            with suppress(EOFError):
                self.late.extend(ours.recv())
            process.join()
