"""What an item takes of its worker while it runs: slots, and memory."""

from typing import NamedTuple, Self

from gristmill.config.figures import count, size
from gristmill.config.quantities import SIZE, parse_size
from gristmill.errors import InputError, invalid_value

#: Most slots that an item may take, and the least and the most memory that it may reserve, in bytes.
SLOTS_MOST = 4096
MEMORY_LEAST, MEMORY_MOST = 1 << 20, 1 << 46


class Resources(NamedTuple):
    """What an item takes of its worker: `slots` of its slots, and `memory` in bytes that it reserves, 0 for none."""

    slots: int = 1
    memory: int = 0

    @classmethod
    def of(cls, slots: object, memory: str | float | None) -> Self:
        """The resources, from what a person or a program gives.

        Raises:
            InputError: a value is not valid.
        """
        return cls(checked_slots(slots), 0 if memory is None else checked_memory(memory))

    def with_options(self, slots: int | None, memory: int | None) -> Self:
        """These, but for what a batch says: `memory` in bytes."""
        return type(self)(self.slots if slots is None else slots, self.memory if memory is None else memory)

    def __str__(self) -> str:
        """As in a sentence: `2 slots and 4G of memory`."""
        slots = count(self.slots, "slot")
        return f"{slots} and {size(self.memory)} of memory" if self.memory else slots


def checked_slots(value: object) -> int:
    """The number of slots that an item takes.

    Raises:
        InputError: the value is not valid.
    """
    if type(value) is not int or not 1 <= value <= SLOTS_MOST:
        raise InputError(invalid_value("slots", value, f"an integer from 1 to {SLOTS_MOST:,}"))
    return value


def checked_memory(value: str | float) -> int:
    """The bytes of a size such as `4G` that an item reserves.

    Raises:
        InputError: the value is not valid.
    """
    try:
        memory = parse_size(value)
    except ValueError:
        memory = -1
    if not MEMORY_LEAST <= memory <= MEMORY_MOST:
        raise InputError(invalid_value("memory", value, f"{SIZE}, 1M or more"))
    return memory


def refuse_of_coroutines(resources: Resources, is_async: bool, task: str) -> None:
    """Refuse slots and memory for items of an `async def` task: they share one event loop.

    Raises:
        InputError: the task is one, and the resources are not those of any item.
    """
    if is_async and resources != Resources():
        expected = "1 slot and no memory: items of an async def task share one event loop"
        raise InputError(invalid_value(f"resources of task {task!r}", str(resources), expected))
