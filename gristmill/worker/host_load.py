"""Measures the load of the machine, of the container that this worker may run in, and of the worker itself."""

import os
import time
from contextlib import suppress
from functools import cache
from typing import Any

import psutil

from gristmill.config.host import cores, in_container, machine_id, memory, memory_used, namespace
from gristmill.config.settings import settings
from gristmill.local.descendants import descendants
from gristmill.worker.limits import worker_memory

_MIB = 1 << 20
#: Seconds between two looks, over which the use of cores is measured: one second varies much, and a look reads files.
LOOK_SECONDS = 10
#: Seconds until the second look: the first one is of the moment since the module was loaded, in which anything may be.
SECOND_LOOK_SECONDS = 1


def _cpu_times() -> tuple[float, float]:
    """Seconds that all cores have had, and of these the idle ones; psutil's own percentage is apart for each thread."""
    times = psutil.cpu_times()
    # What guests use is part of what their host's processes do.
    total = sum(times) - getattr(times, "guest", 0.0) - getattr(times, "guest_nice", 0.0)
    return total, times.idle + getattr(times, "iowait", 0.0)


_AT_LOAD = _cpu_times()


class HostLoad:
    """The load, for the heartbeat: what LiveWorker has of machine, container and worker."""

    def __init__(self) -> None:
        self._process = psutil.Process()
        # Read from files; the admission reads them for each message.
        self._memory_limit = worker_memory(settings())
        self._machine_times, self.machine_percent = _AT_LOAD, 0.0
        self._start_seconds = round(time.time() - self._process.create_time(), 1)
        self._looked_at, self._cpu_seconds = self._look()
        self._wait = SECOND_LOOK_SECONDS
        self._cores_used = 0.0

    def read(self) -> dict[str, Any]:
        """The load now."""
        if time.monotonic() - self._looked_at >= self._wait:
            before, spent, self._wait = self._looked_at, self._cpu_seconds, LOOK_SECONDS
            self._looked_at, self._cpu_seconds = self._look()
            # Of a process that was killed, nobody has counted the last seconds.
            self._cores_used = max(0.0, (self._cpu_seconds - spent) / (self._looked_at - before))
        return {
            **_fixed(),
            "cpu": round(self.machine_percent, 1),
            "used": self._used,
            "cores_used": round(self._cores_used, 3),
            "resident": round(self._resident / _MIB),
            "container_used": self._container_used,
            "memory_limit": self._memory_limit,
            "start_seconds": self._start_seconds,
        }

    def _look(self) -> tuple[float, float]:
        """The time, and the CPU time that the worker's processes have used, with those that have ended.

        Looks at all else that is read from files, too.
        """
        (before, idle_before), self._machine_times = self._machine_times, _cpu_times()
        total, idle = self._machine_times
        if total > before:
            #: Percent of the machine's cores that were busy, over the last seconds.
            self.machine_percent = min(100.0, max(0.0, 100 * (1 - (idle - idle_before) / (total - before))))
        virtual = psutil.virtual_memory()
        self._used = round((virtual.total - virtual.available) / _MIB)
        self._container_used = round(memory_used() / _MIB) if _fixed()["container"] else 0
        spent, self._resident = 0.0, 0
        # psutil looks for children among all processes of the machine.
        for pid in (self._process.pid, *descendants(self._process.pid)):
            with suppress(psutil.Error):
                process = psutil.Process(pid)
                spent += sum(process.cpu_times()[:4])
                self._resident += process.memory_info().rss
        return time.monotonic(), spent


@cache
def _fixed() -> dict[str, Any]:
    total = psutil.virtual_memory().total
    limit = memory()
    return {
        "machine": machine_id(),
        "machine_name": settings().machine_name,
        "machine_cores": os.cpu_count() or 1,
        "cores": cores(),
        "memory": round(total / _MIB),
        "container": in_container(),
        "container_memory": round(limit / _MIB) if in_container() and limit < total else 0,
        "namespace": namespace(),
    }
