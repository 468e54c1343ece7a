"""The driver's side of the tally that workers keep (apps/work.py): how many tasks are done, when, by whom."""

import time
from pathlib import Path

from benchmarks.peers.apps.work import PAGE, WAIT

#: Seconds without a task being done after which the rest is given up as lost.
PATIENCE = 30.0
#: Seconds between two looks.
LOOK = 0.005


class Stalled(RuntimeError):
    """Tasks were put and are not done."""


class Tally:
    """What the processes of a round have counted so far."""

    def __init__(self, directory: Path) -> None:
        self._directory = directory

    @property
    def done(self) -> int:
        """Tasks that are done."""
        return sum(count for count, _ in self._pages())

    @property
    def last(self) -> float:
        """When the last task was done, a Unix time."""
        return max((at for _, at in self._pages()), default=0.0)

    def pids(self) -> set[int]:
        """The processes that ran tasks."""
        return {int(path.stem) for path in self._directory.glob("*.page")}

    def waits(self) -> list[float]:
        """Seconds from submit to begin of each task that noted it."""
        texts = [path.read_bytes() for path in self._directory.glob("*.waits")]
        return [seconds for text in texts for (seconds,) in WAIT.iter_unpack(text)]

    def until(self, count: int) -> int:
        """Wait until so many are done; how many are.

        Raises:
            Stalled: for a long time none was.
        """
        done, moved = self.done, time.monotonic()
        while done < count:
            time.sleep(LOOK)
            now = self.done
            if now > done:
                moved = time.monotonic()
            elif time.monotonic() - moved > PATIENCE:
                raise Stalled(f"{count - now} of {count} tasks were not done within {PATIENCE:g} s")
            done = now
        return done

    def _pages(self) -> list[tuple[int, float]]:
        texts = [path.read_bytes() for path in self._directory.glob("*.page")]
        return [PAGE.unpack(text) for text in texts if len(text) == PAGE.size]
