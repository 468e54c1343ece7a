"""What a process of the pool takes from its worker when it starts: limits, output, identity, what it knows."""

import logging
from dataclasses import dataclass, field
from typing import Any

from gristmill.config.settings import settings
from gristmill.fleet.worker_id import belong_to
from gristmill.server.primary import epochs, learn
from gristmill.server.sentinel import Sentinels
from gristmill.worker import logs
from gristmill.worker.limits import limit_memory, slot_memory
from gristmill.worker.output.capture import capture_process
from gristmill.worker.output.output_file import OutputFile, new_file
from gristmill.worker.pool.billiard_internals import DupFd
from gristmill.worker.restoration.randomness import reseed
from gristmill.worker.restoration.signal_state import keep_handlers_from_copies
from gristmill.worker.restoration.state import process_state
from gristmill.worker.slot import quarantine

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class SlotEquipment:
    """The equipment of one slot: the id of its worker, bytes of memory (0: no limit), a file for what items write.

    The file outlives the process, so the next one of the slot finds what the last item wrote. `epochs` are those of
    the worker's primaries.
    """

    worker: str
    memory: int = 0
    file: int | None = None
    epochs: dict[Sentinels, int] = field(default_factory=epochs)

    def __reduce__(self) -> tuple[Any, ...]:
        file = self.file if self.file is None else DupFd(self.file)
        return _received, (self.worker, self.memory, file, self.epochs)

    def take(self) -> None:
        """Make this process, which has just started, one that runs items."""
        belong_to(self.worker)
        learn(self.epochs)
        reseed()
        self.capture()
        if self.memory:
            limit_memory(self.memory)
        keep_handlers_from_copies()
        process_state.begin(settings().max_items_per_process, quarantine.pids)

    def capture(self) -> None:
        """Lead what this process writes to the file, and log what an item wrote whose process has died."""
        output = None if self.file is None else OutputFile(self.file).last_words()
        logs.write_to(capture_process(self.file))
        if output is not None:
            log.warning("the process before this one ended while it ran an item, which had written:\n%s", output)


def _received(worker: str, memory: int, file: Any, epochs: dict[Sentinels, int]) -> SlotEquipment:
    return SlotEquipment(worker, memory, file if file is None else file.detach(), epochs)


@dataclass
class PoolEquipment:
    """The equipment of all slots of this worker, which its boot steps bring together."""

    memory: int = 0
    files: list[int] = field(default_factory=list)

    def resize(self, slots: int) -> None:
        """Have equipment for `slots` slots; a process keeps the limit on memory with which it started."""
        self.memory = slot_memory(settings(), slots)
        if self.files:
            self.files += [new_file() for _ in range(slots - len(self.files))]

    def of_slot(self, place: int, worker: str) -> SlotEquipment:
        """The equipment of the slot at a place of the pool."""
        file = self.files[place] if place in range(len(self.files)) else None
        return SlotEquipment(worker, self.memory, file)


pool_equipment = PoolEquipment()
