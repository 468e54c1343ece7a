"""What limits a queue, and how many slots would have it done in time."""

from bisect import bisect_left
from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from math import ceil
from statistics import median

from gristmill.fleet.queue_now import QueueNow
from gristmill.fleet.registry import LiveWorker
from gristmill.fleet.room import Room, room_for

#: Below this share of slots that work, more slots do not help.
IDLE = 0.6
#: Percent of the server's core above which it has no more to give.
SERVER_FULL = 80.0
#: Seconds from a command to slots that run, where no worker has told how long its start took.
START_SECONDS = 10.0
#: Where the target is out of reach, the slots that bring the time to so many times the least.
NEAR = 1.2
#: More slots are worth it when they bring the time below this share of what it is.
WORTH = 0.9
#: How long the number of slots has to stand before anybody concludes from what they did: in seconds, in run times, and
#: in seconds at most; and how many items have to end.
STEADY_SECONDS, STEADY_RUNS, STEADY_MOST, STEADY_ITEMS = 10.0, 2.0, 120.0, 30


class Limit(StrEnum):
    """What keeps a queue from being done sooner."""

    #: It is done in time, or nobody knows what its items wait for.
    NOTHING = "nothing"
    #: More slots would help, and there is room for them.
    SLOTS = "slots"
    #: The cores of its machines, or of the containers of its workers, are busy.
    CORES = "cores"
    #: Its machines have no memory for more slots, or its items have reserved all that there is.
    MEMORY = "memory"
    #: A limit of a batch or of a task holds items back.
    HOLD = "hold"
    #: The server's core is busy.
    SERVER = "server"
    #: Producers add items more slowly than the slots take them.
    PRODUCER = "producer"
    #: The last items all run.
    LONG_ITEMS = "long_items"


@dataclass(frozen=True, slots=True)
class Plan:
    """What to do for a queue.

    `slots` would have its items done within the target, as far as the limits allow: fewer than now where fewer do.
    `seconds` is how long that takes from now on, the start of new slots included; None while nothing tells that. Where
    cores or memory limit it, `machines` more like the `places` that it has would reach the target. It gets a `part`
    (0 to 1) of the free cores, as other queues want more slots too.
    """

    queue: str
    limit: Limit
    slots: int
    seconds: float | None
    reason: str
    machines: int = 0
    places: int = 1
    part: float = 1.0


def is_settled(queue: QueueNow) -> bool:
    """Whether what was measured of a queue belongs to the slots that it has now."""
    least = min(max(STEADY_SECONDS, STEADY_RUNS * queue.seconds), STEADY_MOST)
    enough = queue.slots if queue.steady >= STEADY_MOST else max(queue.slots, STEADY_ITEMS)
    return queue.steady >= least and queue.ended >= enough


def start_seconds(queue: QueueNow, workers: Sequence[LiveWorker]) -> float:
    """Seconds from a command to slots that run: as long as the starts of the queue's workers took, else of all."""
    telling = [worker for worker in workers if worker.start_seconds > 0]
    mine = [worker.start_seconds for worker in telling if worker.queue == queue.name]
    starts = mine or [worker.start_seconds for worker in telling]
    return median(starts) if starts else START_SECONDS


def slots_for(queue: QueueNow, target_seconds: float, start: float) -> int:
    """The least number of slots with which a queue is done in time, or about as soon as it can be; at least 1."""
    most = max(1, queue.left)
    best = queue.drain_with(most, start)
    if best is None:
        return 1
    goal = max(target_seconds, NEAR * best)

    def are_enough(slots: int) -> bool:
        seconds = queue.drain_with(slots, start)
        return seconds is not None and seconds <= goal

    return 1 + bisect_left(range(1, most), True, key=are_enough)


def plan(
    queue: QueueNow,
    queues: Sequence[QueueNow],
    workers: Sequence[LiveWorker],
    server_cpu: float,
    target_seconds: float = 60.0,
    start: float | None = None,
) -> Plan:
    """What limits `queue`, one of `queues`, and the slots with which it is done within `target_seconds` seconds.

    The server uses `server_cpu` percent of one core. New slots take `start` seconds to come, by default as long as the
    starts of the workers took.
    """
    if not queue.left:
        return Plan(queue.name, Limit.NOTHING, 0, 0.0, "no item is left")
    start = start_seconds(queue, workers) if start is None else start
    needed = slots_for(queue, target_seconds, start)
    if not queue.slots:
        seconds = queue.drain_with(needed, start)
        return Plan(queue.name, Limit.SLOTS, needed, seconds, "no worker takes its items")
    now = queue.drain
    if now is not None and now <= target_seconds:
        return Plan(queue.name, Limit.NOTHING, needed, queue.drain_with(needed, start), "it is done in time")
    other = _other_limit(queue, workers, server_cpu, target_seconds)
    if other:
        limit, slots, reason = other
        return Plan(queue.name, limit, slots, now, reason)
    if needed <= queue.slots:
        return Plan(queue.name, Limit.SLOTS, needed, queue.drain_with(needed, start), "fewer slots are enough")
    part = _part(queue, queues, workers, target_seconds)
    room = room_for(queue, workers, part)
    if not room.slots:
        machines, places = _machines(queue, room, needed), len(room.places)
        return Plan(queue.name, Limit(room.limit), queue.slots, now, room.reason, machines, places, part)
    slots = min(needed, queue.slots + room.slots)
    seconds = queue.drain_with(slots, start)
    if seconds is not None and now is not None and seconds > WORTH * now:
        return Plan(queue.name, Limit.NOTHING, queue.slots, now, "it is done before more slots would help")
    return Plan(queue.name, Limit.SLOTS, slots, seconds, _busy(queue.slots), part=part)


def _busy(slots: int) -> str:
    return "its only slot is busy" if slots == 1 else f"its {slots:,} slots are busy"


def _other_limit(
    queue: QueueNow, workers: Sequence[LiveWorker], server_cpu: float, target: float
) -> tuple[Limit, int, str] | None:
    """What else than slots limits a queue, how many slots are enough then, and why; None: slots do."""
    loaded = queue.used * min(1.0, queue.speed)
    if queue.held_seconds is not None and queue.held_seconds > max(target, queue.drain_with(queue.slots) or 0.0):
        return Limit.HOLD, _enough(queue), f"{queue.hold} holds items back"
    if queue.ends is not None and queue.left <= queue.slots:
        return Limit.LONG_ITEMS, queue.left, "the last items all run"
    if loaded >= IDLE or (queue.rate <= 0 and queue.busy):
        return None
    return _idle_limit(queue, workers, server_cpu)


def _idle_limit(queue: QueueNow, workers: Sequence[LiveWorker], server_cpu: float) -> tuple[Limit, int, str] | None:
    """The same for a queue whose slots do not get enough to do, or take long to record it."""
    if server_cpu >= SERVER_FULL:
        return Limit.SERVER, queue.slots, "the server is the bottleneck"
    if queue.over_limit:
        return Limit.HOLD, _enough(queue), f"{queue.hold} holds items back"
    mine = [worker for worker in workers if worker.queue == queue.name]
    if mine and all(worker.is_reserved for worker in mine):
        return Limit.MEMORY, queue.slots, "its items have reserved the memory of its workers"
    if queue.used >= IDLE:
        return None
    if queue.submitting or queue.arrivals >= 0.5 * queue.rate > 0:
        return Limit.PRODUCER, _enough(queue), "the producer is the bottleneck"
    return Limit.NOTHING, queue.slots, "the items wait for something else, such as another attempt"


def _part(queue: QueueNow, queues: Sequence[QueueNow], workers: Sequence[LiveWorker], target: float) -> float:
    """The part of the free cores that a queue gets: as it wants more slots, and other queues do."""
    wants = {
        queue.name: 1,
        **{
            other.name: max(0, slots_for(other, target, start_seconds(other, workers)) - other.slots)
            for other in queues
            if other.left and other.kind != "io" and (other.drain is None or other.drain > target)
        },
    }
    return wants[queue.name] / max(1, sum(wants.values()))


def _enough(queue: QueueNow) -> int:
    """Slots for as many items as come now."""
    return max(1, min(queue.slots, round(queue.used * queue.slots / 0.8)))


def _machines(queue: QueueNow, room: Room, needed: int) -> int:
    """How many more machines like those of the queue have room for as many slots as it needs."""
    each = queue.slots / max(1, len(room.places))
    # A slot that has a core for itself is faster than one that shares it.
    return max(1, ceil((needed - queue.slots) * room.share / each))
