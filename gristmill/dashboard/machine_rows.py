"""Machines, containers and workers for the Throughput page: three things, each with its own figures."""

from collections.abc import Iterable
from typing import Any

from gristmill.fleet.machines import Machine


def machine_rows(machines: Iterable[Machine]) -> list[dict[str, Any]]:
    """A row for each machine: cores and memory, the share of them in use, and the names of its containers."""
    return [
        {
            "id": one.id,
            "name": one.name,
            "cores": one.cores,
            "cpu": round(one.cpu, 1),
            "used": one.used,
            "memory": one.memory,
            "workers": len(one.workers),
            "containers": sorted({worker.host for worker in one.workers if worker.container}),
        }
        for one in machines
    ]


def container_rows(machines: Iterable[Machine]) -> list[dict[str, Any]]:
    """A row for each container: its own figures, and the ids of its workers. `memory` is its limit, 0 without one."""
    rows = []
    for one in machines:
        for name in sorted({worker.host for worker in one.workers if worker.container}):
            workers = [worker for worker in one.workers if worker.container and worker.host == name]
            rows.append(
                {
                    "name": name,
                    "machine": one.name,
                    "cores": workers[0].cores,
                    "cores_used": round(sum(worker.cores_used for worker in workers), 3),
                    "used": max(worker.container_used for worker in workers),
                    "memory": workers[0].container_memory,
                    "workers": [worker.id for worker in workers],
                }
            )
    return rows
