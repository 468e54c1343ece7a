"""Machines, containers and workers for the Throughput page: three things, each with its own figures."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from gristmill.fleet.machines import Machine

#: Machines that a chart draws, at most: with more lines, colours repeat. The others, and those without a live worker,
#: are one line each.
LINES_MOST = 5

Lines = dict[str, list[float | None]]


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


def machine_lines(lines: Mapping[str, Lines], machines: Sequence[Machine]) -> dict[str, Lines]:
    """The lines of live machines, by name; the means of those that are too many, and of those without a live worker."""
    first = [one for one in machines if one.id in lines][: LINES_MOST if len(machines) > LINES_MOST + 1 else None]
    live = {one.id for one in machines}
    others = [lines[one.id] for one in machines if one.id in lines and one not in first]
    without = [line for key, line in lines.items() if key not in live]
    folded = {f"{len(others)} others": others, f"{len(without)} without workers now": without}
    return {one.name: lines[one.id] for one in first} | {
        name: {what: _means([line[what] for line in several]) for what in several[0]}
        for name, several in folded.items()
        if several
    }


def _means(lines: list[list[float | None]]) -> list[float | None]:
    values = ([number for number in column if number is not None] for column in zip(*lines, strict=True))
    return [float(f"{sum(column) / len(column):.4g}") if column else None for column in values]
