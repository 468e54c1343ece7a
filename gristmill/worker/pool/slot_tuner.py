"""How many slots an io worker has that nobody gave a number: by what its items wait for, within the host's memory."""

import resource
from dataclasses import dataclass
from math import ceil

import psutil

from gristmill.config.host import in_container, memory, memory_used
from gristmill.config.settings import settings
from gristmill.worker.limits import worker_memory

#: Slots, at least and at most; more threads of one process are of no use.
LEAST, MOST = 4, 1024
#: The number of slots grows and shrinks by these factors.
GROWTH, SHRINKAGE = 1.5, 0.75
#: A stretch counts when so much of its slots was busy: else items are lacking, and not slots.
FULL = 0.9
#: Cores that the worker uses, below which more slots have room, and from which on they are too many: its threads
#: compute one at a time. On a machine without a free core they are too many from `CROWDED_THERE` on.
ROOMY, CROWDED, CROWDED_THERE, NO_FREE_CORE = 0.7, 0.9, 0.3, 95.0
#: The cores that more slots may fill.
FILLED = 0.85
#: More slots stay when they bring this part of the items that they could, and fewer when this part of the items stays.
GAIN, LOSS = 0.3, 0.93
#: Seconds of a stretch, at least and at most; and its items, unless there are more slots.
STRETCH_SECONDS, STRETCH_MOST, STRETCH_ITEMS = 5.0, 60.0, 30
#: Seconds without a trial after one that failed, doubled at each that fails in a row.
HOLD_SECONDS, HOLD_MOST = 60.0, 960.0
#: The share of the machine's memory that stays free; the file descriptors that a slot may need.
MEMORY_KEPT, DESCRIPTORS = 0.1, 4


@dataclass(frozen=True, slots=True)
class SlotUse:
    """What a worker has done until `at` (monotonic seconds): `items` in `cpu` seconds of CPU, both since its start.

    Now `busy` of its `slots` run a message, `machine` percent of the machine's cores are busy, and memory and file
    descriptors have room for `room` slots in all.
    """

    at: float
    slots: int
    busy: int
    items: int
    cpu: float
    machine: float
    room: int


@dataclass(frozen=True, slots=True)
class _Trial:
    """Another number of slots than `slots`, with which `rate` items ended per second."""

    slots: int
    rate: float


class SlotTuner:
    """Tries more slots while the items wait, and fewer while they compute; what brings no more items is taken back.

    Look once a second. A stretch is at least `stretch` seconds long, and after a trial that failed it waits for longer.
    """

    def __init__(self, stretch: float = STRETCH_SECONDS) -> None:
        self._stretch = stretch
        self._first: SlotUse | None = None
        self._busy: list[float] = []
        self._settles = False
        self._trial: _Trial | None = None
        self._failures, self._held_until = 0, 0.0
        #: Why the slots are as many as they are.
        self.reason = "as many as at the start"

    def look(self, now: SlotUse) -> int:
        """How many slots the worker should have."""
        if now.slots > now.room:
            return self._change(max(LEAST, now.room), "the memory has no room for more")
        if self._first is None or self._first.slots != now.slots:
            self._begin(now)
            self._settles = True
            return now.slots
        first, seconds = self._first, now.at - self._first.at
        if self._settles:
            # The first items of new slots end after one run time.
            if now.items - first.items >= now.slots or seconds >= STRETCH_MOST:
                self._begin(now)
                self._settles = False
            return now.slots
        self._busy.append(now.busy / now.slots)
        is_enough = seconds >= self._stretch and now.items - first.items >= max(now.slots, STRETCH_ITEMS)
        if not is_enough and seconds < STRETCH_MOST:
            return now.slots
        is_full, items = sum(self._busy) / len(self._busy) >= FULL, now.items - first.items
        self._begin(now)
        if not is_full or not items:
            # Nothing is known of these slots, as nothing was known before.
            self._trial = None
            return now.slots
        return self._judge(now, items / seconds, (now.cpu - first.cpu) / seconds)

    def _begin(self, now: SlotUse) -> None:
        self._first, self._busy = now, []

    def _change(self, slots: int, reason: str) -> int:
        self.reason = reason
        self._first = None
        return slots

    def _judge(self, now: SlotUse, rate: float, cores: float) -> int:
        trial, self._trial = self._trial, None
        if trial:
            gain = 1 + GAIN * (now.slots / trial.slots - 1) if now.slots > trial.slots else LOSS
            if rate < gain * trial.rate:
                self._held_until = now.at + min(HOLD_SECONDS * 2**self._failures, HOLD_MOST)
                self._failures += 1
                return self._change(min(trial.slots, now.room), f"{now.slots:,} did {rate:.3g} items/s and no more")
            self._failures = 0
            if now.slots < trial.slots:
                # Else many steps, each of which costs little, would cost much.
                rate = max(rate, trial.rate)
        if now.at < self._held_until:
            return now.slots
        slots, reason = self._next(now, cores)
        if slots == now.slots:
            return slots
        self._trial = _Trial(now.slots, rate)
        return self._change(slots, reason)

    @staticmethod
    def _next(now: SlotUse, cores: float) -> tuple[int, str]:
        waits = 100 * (1 - min(1.0, cores / now.slots))
        is_crowded = cores >= CROWDED or (cores >= CROWDED_THERE and now.machine >= NO_FREE_CORE)
        if is_crowded:
            slots = max(min(LEAST, now.slots), int(now.slots * SHRINKAGE))
            return slots, f"the threads compute: they use {cores:.2f} cores"
        if cores < ROOMY:
            slots = min(ceil(now.slots * GROWTH), int(now.slots * FILLED / max(cores, 1e-9)), now.room, MOST)
            return max(slots, now.slots), f"the items wait for {waits:.4g} % of their time"
        return now.slots, ""


def room_for(slots: int) -> int:
    """The slots for which this host has memory and file descriptors, as much as those that run use."""
    used = psutil.Process().memory_info().rss
    machine = psutil.virtual_memory()
    free = min(machine.available - MEMORY_KEPT * machine.total, worker_memory(settings()) - used)
    if in_container():
        free = min(free, (1 - MEMORY_KEPT) * memory() - memory_used())
    descriptors = resource.getrlimit(resource.RLIMIT_NOFILE)[0]
    by_descriptors = MOST if descriptors == resource.RLIM_INFINITY else descriptors // DESCRIPTORS
    return max(LEAST, min(slots + int(free / max(used / slots, 1.0)), by_descriptors, MOST))
