"""The moment at which a wait ends."""

import time


class Deadline:
    """A moment `seconds` from now; with None it never comes."""

    def __init__(self, seconds: float | None) -> None:
        self.seconds = seconds
        self._end = None if seconds is None else time.monotonic() + seconds

    @property
    def over(self) -> bool:
        """Whether the moment has passed."""
        return self._end is not None and time.monotonic() > self._end

    @property
    def left(self) -> float | None:
        """Seconds until the moment, 0 once it has passed; None when it never comes."""
        return None if self._end is None else max(0.0, self._end - time.monotonic())


#: The deadline of a wait without a limit.
NEVER = Deadline(None)
