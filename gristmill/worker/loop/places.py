"""The places of an event loop: how many items run on it at once, and whose item starts in the next free place."""

from collections import deque
from collections.abc import Callable

#: Starts one item, or answers False when it has none to start.
Start = Callable[[], bool]


class Places:
    """So many places, which batches fill by turns. Everything happens in the thread of the event loop.

    Of the chunks of one batch, the first one that came fills them: by turns, all would end at once, and no place would
    have an item to run until they are recorded. A semaphore would wake a coroutine of the chunk for each place.
    """

    def __init__(self, number: int) -> None:
        self.free = number
        #: By batch; the batch whose turn is next is the first one.
        self._starts: dict[str, deque[Start]] = {}

    def fill(self, batch: str, start: Start) -> None:
        """Have `start` fill the places that are free, or become free, after those of `batch` that came before it.

        It does so until it answers False, in turns with other batches.
        """
        self._starts.setdefault(batch, deque()).append(start)
        self._fill()

    def release(self) -> None:
        """Free the place of an item that has ended."""
        self.free += 1
        self._fill()

    def _fill(self) -> None:
        while self.free and self._starts:
            batch = next(iter(self._starts))
            starts = self._starts.pop(batch)
            while starts and not starts[0]():
                starts.popleft()
            if starts:
                self.free -= 1
                self._starts[batch] = starts
