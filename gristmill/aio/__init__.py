"""The names of `gristmill`, awaited: for programs on an event loop, such as web services.

```python
from gristmill import aio

async def squares() -> list[int]:
    batch = await aio.submit("square", range(100), name="squares")
    return [value async for value in batch.values()]
```

Each call to the server runs in a thread of the loop's default executor, over the connections that all of the process
uses, and none of them waits there for items: a thousand coroutines may follow batches. A coroutine that is cancelled
returns at once; the call that it had begun ends in its thread. Errors are those of `gristmill`.
"""

import asyncio
from collections.abc import Coroutine, Iterable, Mapping
from typing import Any, TypeVar, overload

from typing_extensions import Unpack

from gristmill.aio.batch import Batch
from gristmill.aio.schedules import Schedule, open_schedule, schedule, schedules
from gristmill.batches.info import BatchInfo, State
from gristmill.batches.result import Result
from gristmill.batches.schedules import ScheduleInfo
from gristmill.producer import batches as blocking_batches
from gristmill.producer.batch_options import SubmitOptions
from gristmill.producer.submit import OneParameterTask, T_contra
from gristmill.producer.submit import submit as blocking_submit
from gristmill.tasks.item import item
from gristmill.tasks.kinds import cpu, io
from gristmill.tasks.task import GristmillTask

__all__ = [
    "Batch",
    "BatchInfo",
    "Result",
    "Schedule",
    "ScheduleInfo",
    "State",
    "batches",
    "cpu",
    "io",
    "item",
    "open_batch",
    "open_schedule",
    "schedule",
    "schedules",
    "submit",
]

R = TypeVar("R")


@overload
async def submit(
    task: OneParameterTask[T_contra, Coroutine[Any, Any, R]],
    items: Iterable[T_contra] | Batch[Any] = ...,
    **options: Unpack[SubmitOptions],
) -> Batch[R]: ...
@overload
async def submit(
    task: OneParameterTask[T_contra, R], items: Iterable[T_contra] | Batch[Any] = ..., **options: Unpack[SubmitOptions]
) -> Batch[R]: ...
@overload
async def submit(
    task: GristmillTask[..., Coroutine[Any, Any, R]],
    items: Iterable[Mapping[str, Any]] | Batch[Any] = ...,
    *,
    set: Mapping[str, Any] | None = ...,
    **options: Unpack[SubmitOptions],
) -> Batch[R]: ...
@overload
async def submit(
    task: GristmillTask[..., R],
    items: Iterable[Mapping[str, Any]] | Batch[Any] = ...,
    *,
    set: Mapping[str, Any] | None = ...,
    **options: Unpack[SubmitOptions],
) -> Batch[R]: ...
@overload
async def submit(
    task: GristmillTask[..., Coroutine[Any, Any, R]],
    items: Iterable[Any] | Batch[Any] = ...,
    *,
    set: Mapping[str, Any],
    **options: Unpack[SubmitOptions],
) -> Batch[R]: ...
@overload
async def submit(
    task: GristmillTask[..., R],
    items: Iterable[Any] | Batch[Any] = ...,
    *,
    set: Mapping[str, Any],
    **options: Unpack[SubmitOptions],
) -> Batch[R]: ...
@overload
async def submit(
    task: str,
    items: Iterable[Any] | Batch[Any] = ...,
    *,
    set: Mapping[str, Any] | None = ...,
    **options: Unpack[SubmitOptions],
) -> Batch[Any]: ...
async def submit(
    task: Any,
    items: Any = None,
    *,
    set: Mapping[str, Any] | None = None,  # noqa: A002
    **options: Unpack[SubmitOptions],
) -> Batch[Any]:
    """Store `items` on the server as one batch of `task`; parameters and errors are those of `gristmill.submit`.

    A thread reads `items`. When this coroutine is cancelled, the thread goes on to the end: with a `name`, a repetition
    stores only what is missing.
    """
    if isinstance(items, Batch):
        items = items._batch
    return Batch(await asyncio.to_thread(lambda: blocking_submit(task, items, set=set, **options)))


@overload
async def open_batch(name: str, *, task: GristmillTask[..., Coroutine[Any, Any, R]]) -> Batch[R]: ...
@overload
async def open_batch(name: str, *, task: GristmillTask[..., R]) -> Batch[R]: ...
@overload
async def open_batch(name: str, *, task: str | None = ...) -> Batch[Any]: ...
async def open_batch(name: str, *, task: Any = None) -> Batch[Any]:
    """The batch called `name`; parameters and errors are those of `gristmill.open_batch`."""
    return Batch(await asyncio.to_thread(blocking_batches.open_batch, name, task=task))


async def batches(*, workflow: str | None = None) -> list[BatchInfo]:
    """The counters of the batches on the server, oldest first; as `gristmill.batches`."""
    return await asyncio.to_thread(lambda: blocking_batches.batches(workflow=workflow))
