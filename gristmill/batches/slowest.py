"""Which outcomes may be among the slowest of their batch: the others are not worth a word to the server."""

from collections.abc import Sequence
from heapq import nlargest

from gristmill.batches.chunk import Chunk, Outcome

#: Items that the server notes of a batch; slowest.lua has the same number.
SLOWEST = 10
#: Batches of which a process knows how slow an item has to be.
_BATCHES = 100


class SlowestFilter:
    """Knows how slow an item of a batch has to be, from what the server said last. Threads share it."""

    def __init__(self) -> None:
        self._thresholds: dict[tuple[str, int], float] = {}

    def candidates(self, chunk: Chunk, outcomes: Sequence[Outcome]) -> list[int | float]:
        """Index and seconds, by turns, of the outcomes that may be among the slowest of their batch."""
        least = self._thresholds.get((chunk.batch, chunk.epoch), 0.0)
        slow = [outcome for outcome in outcomes if outcome.seconds > least and outcome.retry_ms is None]
        slowest = nlargest(SLOWEST, slow, key=lambda outcome: outcome.seconds) if slow else []
        return [part for outcome in slowest for part in (outcome.index, outcome.seconds)]

    def learn(self, chunk: Chunk, threshold: float) -> None:
        """Take the seconds that an item of this batch has to exceed from now on."""
        if len(self._thresholds) >= _BATCHES:
            self._thresholds = {}
        self._thresholds[chunk.batch, chunk.epoch] = threshold
