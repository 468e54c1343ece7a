"""The room for more slots of a queue: free cores and memory of its machines."""

from collections.abc import Sequence
from dataclasses import dataclass
from math import ceil

from gristmill.fleet.machines import Machine, machines
from gristmill.fleet.queue_now import QueueNow
from gristmill.fleet.registry import LiveWorker

#: The least share of a core that a slot of CPU-bound items is taken to need, and one that waits.
LEAST_CPU, LEAST_IO = 0.3, 0.001
#: How much of a slot's core may be lacking.
SLACK = 0.2
#: Percent of its cores from which on a machine has none left for others: what its slots use says little then.
CROWDED = 90.0
#: The share of a machine's memory that stays free, and the MiB of a slot of which nothing is known.
MEMORY_KEPT, SLOT_MIB = 0.1, 64.0
#: Slots that have room where nothing bounds them: on a machine, and in Kubernetes.
MOST = 4096
#: On more machines than that, each gets as many slots.
FEW_MACHINES = 3


@dataclass(frozen=True, slots=True)
class Place:
    """A machine that has room for `slots` more of a queue; its workers of the queue have `unit` slots each."""

    machine: Machine
    slots: int
    unit: int


@dataclass(frozen=True, slots=True)
class Room:
    """Where a queue has room for more slots, the largest place first.

    `limit` (`cores` or `memory`) and `reason` say what ends it. Each slot gets `share` (0 to 1) of the time on a core
    that it would use.
    """

    places: tuple[Place, ...]
    limit: str = "cores"
    reason: str = ""
    share: float = 1.0
    is_open: bool = False

    @property
    def slots(self) -> int:
        """The slots that have room, on all machines together."""
        return MOST if self.is_open else sum(place.slots for place in self.places)

    def spread(self, more: int) -> list[Place]:
        """The places for `more` slots: few machines, or as many on each; whole workers where these are containers."""
        places = self._fill(more, MOST)
        if len(places) <= FEW_MACHINES:
            return places
        return self._fill(more, ceil(more / len(self.places)))

    def _fill(self, more: int, most: int) -> list[Place]:
        places = []
        for place in self.places:
            if more <= 0 or not place.slots:
                break
            slots = min(ceil(min(more, most) / place.unit) * place.unit, place.slots)
            places.append(Place(place.machine, slots, place.unit))
            more -= slots
        return places


def room_for(queue: QueueNow, workers: Sequence[LiveWorker], part: float = 1.0) -> Room:
    """The room for more slots of a queue, on the machines that it has workers on, else on all of the fleet.

    It gets a `part` (0 to 1) of the free cores: other queues want the rest.
    """
    mine = [worker for worker in workers if worker.queue == queue.name]
    fleet = machines(workers)
    own = [one for one in fleet if any(worker.queue == queue.name for worker in one.workers)] or fleet
    if not own or any(worker.namespace for worker in mine or workers):
        # A pod goes to whichever machine has room: nobody here knows all of them.
        return Room((), is_open=True)
    need, mib = _need(queue, mine), _mib(mine)
    places, cores, memory = [], 0, 0
    for one in own:
        unit = _unit(queue, one)
        by_cores = _by_cores(queue, one, need, part) // unit * unit
        by_memory = one.free_memory(MEMORY_KEPT, mib) // unit * unit
        cores, memory = cores + by_cores, memory + by_memory
        places.append(Place(one, min(by_cores, by_memory), unit))
    places.sort(key=lambda place: -place.slots)
    which = own[0].name if len(own) == 1 else f"all {len(own)} machines"
    reason = f"the memory of {which} is in use" if memory < cores else f"all cores of {which} are busy"
    return Room(tuple(places), "memory" if memory < cores else "cores", reason, _share(queue, mine))


def _unit(queue: QueueNow, machine: Machine) -> int:
    """Slots that come together: a container has a worker, whose slots it does not change."""
    slots = [worker.slots for worker in machine.workers if worker.queue == queue.name and worker.container]
    return max(1, round(sum(slots) / len(slots))) if slots else 1


def _need(queue: QueueNow, workers: Sequence[LiveWorker]) -> float:
    """Cores that a busy slot uses."""
    busy = sum(worker.busy for worker in workers)
    used = sum(worker.cores_used for worker in workers) / busy if busy else 0.0
    if queue.kind == "io":
        return max(LEAST_IO, used)
    # Where slots share a core, each has less than it would use.
    whole = not used or any(worker.cpu >= CROWDED for worker in workers)
    return max(1.0 if whole else LEAST_CPU, used)


def _share(queue: QueueNow, workers: Sequence[LiveWorker]) -> float:
    busy = sum(worker.busy for worker in workers)
    used = sum(worker.cores_used for worker in workers)
    return min(1.0, used / busy) if queue.kind != "io" and busy and used else 1.0


def _mib(workers: Sequence[LiveWorker]) -> float:
    """MiB that one more slot takes."""
    slots = sum(worker.slots for worker in workers)
    used = sum(worker.resident for worker in workers)
    return max(1.0, used / slots) if slots and used else SLOT_MIB


def _by_cores(queue: QueueNow, machine: Machine, need: float, part: float) -> int:
    if queue.kind != "io":
        return max(0, int(part * machine.free_cores / need + SLACK))
    mine = [worker for worker in machine.workers if worker.queue == queue.name]
    each = max(machine.free_cores, machine.fair_share)
    if not mine or any(worker.container for worker in mine):
        # Each new container has a process, which gets its share of the cores whatever the others want.
        return min(MOST, int(each / need))
    # The threads of one process compute one at a time.
    return min(MOST, sum(int(max(0.0, min(1.0, each + one.cores_used) - one.cores_used) / need) for one in mine))
