"""Machines, containers and workers told apart: workers on one kernel share its cores and its memory."""

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass

from gristmill.fleet.registry import LiveWorker


@dataclass(frozen=True, slots=True)
class Machine:
    """A machine with live workers: `cores`, of which `cpu` percent are busy, and `used` of `memory` MiB in use."""

    id: str
    name: str
    cores: int
    cpu: float
    used: int
    memory: int
    workers: tuple[LiveWorker, ...]

    @property
    def free_cores(self) -> float:
        """Cores that nothing uses."""
        return max(0.0, self.cores * (1 - self.cpu / 100))

    @property
    def fair_share(self) -> float:
        """The cores that one more process gets, however busy the machine is."""
        running = sum(worker.busy if worker.pool == "prefork" else 1 for worker in self.workers)
        return self.cores / (running + 1)

    def free_memory(self, reserve: float, each: float) -> int:
        """For how many times `each` MiB there is memory, when a share of `reserve` is to stay free."""
        if not self.memory:
            return 1 << 20
        return max(0, int((self.memory * (1 - reserve) - self.used) / each))


def machines(workers: Iterable[LiveWorker]) -> list[Machine]:
    """The machines of workers, by name, each with a name of its own."""
    by_id: dict[str, list[LiveWorker]] = {}
    for worker in workers:
        by_id.setdefault(worker.machine or worker.host, []).append(worker)
    names = {key: _name(key, several) for key, several in by_id.items()}
    shared = Counter(names.values())
    unique = {key: name if shared[name] == 1 else f"{name} ({key})" for key, name in names.items()}
    return sorted((_machine(key, unique[key], several) for key, several in by_id.items()), key=lambda one: one.name)


def _name(key: str, workers: list[LiveWorker]) -> str:
    """What a setting calls a machine, else what it calls itself; a container does not know that."""
    names = sorted({worker.machine_name for worker in workers if worker.machine_name})
    names = names or sorted({worker.host for worker in workers if not worker.container})
    return names[0] if names else f"machine {key[:6]}" if any(worker.machine for worker in workers) else key


def _machine(key: str, name: str, workers: list[LiveWorker]) -> Machine:
    return Machine(
        id=key,
        name=name,
        cores=max(worker.machine_cores or worker.cores for worker in workers),
        cpu=sum(worker.cpu for worker in workers) / len(workers),
        used=max(worker.used for worker in workers),
        memory=max(worker.memory for worker in workers),
        workers=tuple(workers),
    )
