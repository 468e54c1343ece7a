"""Polling with a deadline."""

import time
from collections.abc import Callable
from typing import TypeVar

from gristmill.server.waiting import Deadline

Answer = TypeVar("Answer")


def until(
    condition: Callable[[], Answer | None],
    seconds: float,
    what: str,
    *,
    pause: float = 0.02,
    error: type[Exception] = TimeoutError,
) -> Answer:
    """Call `condition` every `pause` seconds until its answer is true, and return that.

    Raises:
        Exception: an `error`, if it is not true after `seconds` seconds; `what` names what was waited for.
    """
    deadline = Deadline(seconds)
    while not (answer := condition()):
        if deadline.over:
            raise error(f"{what}: not within {seconds:g} s")
        time.sleep(pause)
    return answer
