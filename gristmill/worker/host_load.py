"""Measures the load of the host: its cores and memory, and how busy they are."""

from functools import cache
from pathlib import Path
from typing import Any

import psutil

from gristmill.config.host import cores

_MIB = 1 << 20
#: Files that mark a container.
_MARKS = (Path("/.dockerenv"), Path("/run/.containerenv"))

# psutil measures between two calls: this is the first.
psutil.cpu_percent()


def host_load() -> dict[str, Any]:
    """The host's load, for the heartbeat: cores, percent of them busy since the last call, memory in MiB."""
    memory = psutil.virtual_memory()
    return {
        "cores": _cores(),
        "cpu": psutil.cpu_percent(),
        "used": round((memory.total - memory.available) / _MIB),
        "memory": round(memory.total / _MIB),
        "container": _container(),
    }


@cache
def _cores() -> int:
    return cores()


@cache
def _container() -> bool:
    return any(mark.exists() for mark in _MARKS)
