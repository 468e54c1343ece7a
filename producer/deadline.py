"""A moment until which something is waited for."""

import time


class Deadline:
    """So many seconds from now on; without any it never comes."""

    def __init__(self, seconds: float | None) -> None:
        self.seconds = seconds
        self._end = None if seconds is None else time.monotonic() + seconds

    @property
    def over(self) -> bool:
        """Whether it has come."""
        return self._end is not None and time.monotonic() > self._end

    @property
    def left(self) -> float | None:
        """Seconds until it comes, 0 when it is over; None when it never comes."""
        return None if self._end is None else max(0.0, self._end - time.monotonic())


#: Of what is waited for without end.
NEVER = Deadline(None)
