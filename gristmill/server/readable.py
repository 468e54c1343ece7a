"""Whether a read of a descriptor would answer at once."""

import select
from collections.abc import Collection
from math import ceil, inf
from typing import Any


def readable(descriptors: Collection[Any], seconds: float) -> set[int]:
    """Those of the descriptors, or of what has one, from which something can be read, be it the end.

    Waits up to `seconds` seconds (infinite: for ever) for one of them.
    """
    numbers = [one if isinstance(one, int) else one.fileno() for one in descriptors]
    if not hasattr(select, "poll"):
        # Eventlet takes it away. Its `select` lets others run meanwhile.
        return set(select.select(numbers, [], [], None if seconds == inf else seconds)[0])
    poll = select.poll()
    for number in numbers:
        poll.register(number, select.POLLIN)
    return {number for number, _ in poll.poll(None if seconds == inf else ceil(1000 * seconds))}


def is_readable(descriptor: Any) -> bool:
    """Whether something is there to be read from a descriptor, or from what has one; or the end."""
    return bool(readable([descriptor], 0))
