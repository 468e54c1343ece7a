"""The room for more slots of a queue: free cores and memory of its machines."""

from collections.abc import Sequence
from dataclasses import dataclass

from gristmill.fleet.machines import Machine, machines
from gristmill.fleet.queue_now import QueueNow
from gristmill.fleet.registry import LiveWorker

#: The least share of a core that a slot of CPU-bound items is taken to need, and a slot that waits.
LEAST_CPU, LEAST_IO = 0.3, 0.002
#: How much of a slot's core may be lacking.
SLACK = 0.2
#: The share of a machine's memory that stays free, and the MiB of a slot of which nothing is known.
MEMORY_SHARE, SLOT_MIB = 0.1, 64.0
#: Slots that one queue may add to a machine at a time, where nothing limits them.
MOST = 4096


@dataclass(frozen=True, slots=True)
class Room:
    """`slots` more have room on the `machines` of the queue; `limit` (`cores`, `memory`) and `reason` say what ends it.

    A slot gets `share` (0 to 1) of the CPU time that it would use.
    """

    slots: int
    limit: str
    reason: str
    machines: int
    share: float = 1.0


def room_for(queue: QueueNow, workers: Sequence[LiveWorker], part: float = 1.0) -> Room:
    """The room for more slots of a queue, on the machines that it has workers on, else on all of the fleet.

    It gets a `part` (0 to 1) of the free cores: other queues want the rest.
    """
    mine = [worker for worker in workers if worker.queue == queue.name]
    if any(worker.namespace for worker in mine):
        # A pod goes to whichever machine has room: nobody here knows all of them.
        return Room(MOST, "cores", "", 0)
    fleet = machines(workers)
    own = [one for one in fleet if any(worker.queue == queue.name for worker in one.workers)] or fleet
    if not own:
        return Room(MOST, "cores", "", 0)
    need, mib = _need(queue, mine), _mib(mine)
    by_cores = [_by_cores(queue, one, need, part) for one in own]
    by_memory = [one.free_memory(MEMORY_SHARE, mib) for one in own]
    slots = sum(min(pair) for pair in zip(by_cores, by_memory, strict=True))
    is_memory = sum(by_memory) < sum(by_cores)
    which = own[0].name if len(own) == 1 else f"all {len(own)} machines"
    reason = f"the memory of {which} is in use" if is_memory else f"all cores of {which} are busy"
    return Room(slots, "memory" if is_memory else "cores", reason, len(own), _share(queue, mine))


def _need(queue: QueueNow, workers: Sequence[LiveWorker]) -> float:
    """Cores that a busy slot uses."""
    busy = sum(worker.busy for worker in workers)
    used = sum(worker.cores_used for worker in workers)
    if queue.kind == "io":
        return max(LEAST_IO, used / busy if busy else 0.0)
    crowded = any(worker.cpu >= 90.0 for worker in workers)
    if not busy or not used or crowded:
        return max(1.0, used / busy if busy else 0.0)
    return max(LEAST_CPU, used / busy)


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
    if any(worker.container for worker in mine) or not mine:
        # Each new container has a process, which gets its share of the cores whatever the others want.
        free = max(machine.free_cores, machine.fair_share)
    else:
        # The threads of one process compute one at a time.
        free = sum(max(0.0, min(1.0, max(machine.free_cores, machine.fair_share)) - one.cores_used) for one in mine)
    return min(MOST, int(free / need))
