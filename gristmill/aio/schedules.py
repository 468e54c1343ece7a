"""Schedules, awaited."""

import asyncio
from collections.abc import Iterable, Mapping
from typing import Any

from typing_extensions import Unpack

from gristmill.aio.batch import Batch
from gristmill.batches.schedules import ScheduleInfo
from gristmill.producer import schedules as blocking
from gristmill.producer.batch_options import ScheduleKeywords


class Schedule:
    """One schedule on the server, as `gristmill.Schedule`, with methods that are awaited."""

    def __init__(self, schedule: blocking.Schedule) -> None:
        self._schedule = schedule
        self.name = schedule.name

    def __repr__(self) -> str:
        return f"aio.Schedule({self.name!r})"

    async def info(self) -> ScheduleInfo:
        """Its times, its next time, and what became of the last one; as `gristmill.Schedule.info`."""
        return await asyncio.to_thread(self._schedule.info)

    async def run(self) -> Batch[Any]:
        """Make a batch of it now, and return the batch; as `gristmill.Schedule.run`."""
        return Batch(await asyncio.to_thread(self._schedule.run))

    async def pause(self) -> bool:
        """Make no batches until `resume`; False if it was paused. Raises as `gristmill.Schedule.pause`."""
        return await asyncio.to_thread(self._schedule.pause)

    async def resume(self) -> bool:
        """Go on from its next time on; False if it was not paused. Raises as `gristmill.Schedule.resume`."""
        return await asyncio.to_thread(self._schedule.resume)

    async def delete(self) -> None:
        """Delete the schedule; its batches stay. Raises as `gristmill.Schedule.delete`."""
        await asyncio.to_thread(self._schedule.delete)


async def schedule(
    task: Any,
    items: Iterable[Any] | None = None,
    *,
    name: str,
    set: Mapping[str, Any] | None = None,  # noqa: A002
    **options: Unpack[ScheduleKeywords],
) -> Schedule:
    """Store `items`, of which the server makes batches; parameters and errors are those of `gristmill.schedule`."""
    return Schedule(await asyncio.to_thread(lambda: blocking.schedule(task, items, name=name, set=set, **options)))


async def open_schedule(name: str) -> Schedule:
    """The schedule called `name`; as `gristmill.open_schedule`."""
    return Schedule(await asyncio.to_thread(blocking.open_schedule, name))


async def schedules() -> list[ScheduleInfo]:
    """All schedules on the server, oldest first; as `gristmill.schedules`."""
    return await asyncio.to_thread(blocking.schedules)
