"""What is ahead of a batch: the items that run, and when the last one will have ended."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import cast

from redis import Redis

from gristmill.batches.info import BatchInfo
from gristmill.config.settings import Settings
from gristmill.fleet.running_items import RunningItem, RunningItems

#: Mean seconds of an item from which on what runs tells more than the rate: between two ends nothing else does.
SLOW_SECONDS = 1.0


@dataclass(frozen=True, slots=True)
class Outlook:
    """What is ahead of one batch.

    `running` are its items that have run for a second or longer, the slowest first. `mean` is how long its items took,
    in seconds, the latest counting most; None before the first has ended. `slots` of the fleet work on the batch.
    `is_async` says that a slot runs several of its items at once.
    """

    running: Sequence[RunningItem] = field(default_factory=list)
    mean: float | None = None
    slots: int = 0
    is_async: bool = False

    def seconds_left(self, info: BatchInfo, rate: float) -> float | None:
        """Seconds until the batch has ended, at `rate` items per second; None when nothing tells that.

        Of slow items, what runs counts: for how long each has run, and how far it is.
        """
        if not info.left:
            return 0.0
        working = max(self.slots, len(self.running))
        if self.mean is None or self.mean < SLOW_SECONDS or self.is_async or not working:
            return info.left / rate if rate > 0 else None
        rests = [rest(item, self.mean) for item in self.running]
        waiting = max(info.left - len(rests), 0)
        # No sooner than the item that takes longest.
        seconds = max([(sum(rests) + waiting * self.mean) / working, *rests])
        return seconds if seconds > 0 else None


def rest(item: RunningItem, mean: float) -> float:
    """Seconds that an item will still run: as far as it is, or as long as the others took; 0 when it took longer."""
    progress = item.progress
    if progress is not None and progress.total and 0 < progress.done <= progress.total:
        return item.seconds * (progress.total - progress.done) / progress.done
    return max(mean - item.seconds, 0.0)


class Outlooks:
    """The outlooks of the batches on one server. Threads may share it."""

    def __init__(self, client: Redis, settings: Settings) -> None:
        self._client, self._settings = client, settings
        self._running_items = RunningItems(client, settings)

    def of(self, infos: Sequence[BatchInfo], *, inputs: bool = False) -> dict[str, Outlook]:
        """The outlook of each of these batches, by name; with the `inputs` of what runs, or without."""
        if not infos:
            return {}
        running: dict[str, list[RunningItem]] = {info.name: [] for info in infos}
        for item in self._running_items.look(running, inputs=inputs):
            running[item.batch].append(item)
        with self._client.pipeline(transaction=False) as pipe:
            for info in infos:
                pipe.hlen(self._settings.key(f"batch:{info.name}:started"))
            slots = cast(list[int], pipe.execute())
        return {
            info.name: Outlook(running[info.name], info.mean, number, info.is_async)
            for info, number in zip(infos, slots, strict=True)
        }
