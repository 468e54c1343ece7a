"""Whether a read of a descriptor would answer at once."""

import select
from typing import Any


def is_readable(descriptor: Any) -> bool:
    """Whether something is there to be read from a descriptor, or from what has one; or the end."""
    poll = select.poll()
    poll.register(descriptor, select.POLLIN)
    return bool(poll.poll(0))
