"""The places of an event loop: how many items run on it at once, and whose item starts in the next free place."""

from collections import deque
from collections.abc import Callable

#: Starts one item, or answers False when it has none to start.
Start = Callable[[], bool]


class Places:
    """So many places, which chunks fill by turns. Everything happens in the thread of the event loop.

    A semaphore would wake a coroutine of the chunk for each place.
    """

    def __init__(self, number: int) -> None:
        self.free = number
        self._starts: deque[Start] = deque()

    def fill(self, start: Start) -> None:
        """Have `start` fill every place that is free, or becomes free, in turns with others until it answers False."""
        self._starts.append(start)
        self._fill()

    def release(self) -> None:
        """Free the place of an item that has ended."""
        self.free += 1
        self._fill()

    def _fill(self) -> None:
        while self.free and self._starts:
            start = self._starts.popleft()
            if start():
                self.free -= 1
                self._starts.append(start)
