"""A batch on the server, awaited."""

import asyncio
from collections.abc import AsyncIterator, Callable, Iterable, Iterator
from functools import partial
from itertools import islice
from typing import Any, Generic, Self, TypeVar

from typing_extensions import TypeVar as DefaultTypeVar

from gristmill.batches.info import ENDED, BatchInfo
from gristmill.batches.result import Result
from gristmill.fleet.running_items import RunningItem
from gristmill.producer import batch as blocking
from gristmill.producer.batch_parameter import BatchParameter
from gristmill.producer.item_states import result_states
from gristmill.producer.value_order import ValueOrder, typed_results
from gristmill.producer.watching import MaxWait, check, deadline_of
from gristmill.server.waiting import Deadline

#: Seconds between two looks at a batch.
_POLL_SECONDS = 0.2
#: Results that a thread reads at a time.
_PAGE = 100

R = TypeVar("R")
R_co = DefaultTypeVar("R_co", covariant=True, default=Any)


class Batch(BatchParameter, Generic[R_co]):
    """One batch on the server, as `gristmill.Batch`, with methods that are awaited.

    Coroutines may share a Batch, but not an iterator of it.
    """

    def __init__(self, batch: blocking.Batch[R_co]) -> None:
        self._batch = batch

        self.name = batch.name

    @classmethod
    def _opened(cls, name: str) -> Self:
        return cls(blocking.Batch._opened(name))

    def __repr__(self) -> str:
        return f"aio.Batch({self.name!r})"

    def __aiter__(self) -> AsyncIterator[Result[R_co]]:
        return self.results()

    async def info(self) -> BatchInfo:
        """The batch's state and counters now; raises as `gristmill.Batch.info`."""
        return await asyncio.to_thread(self._batch.info)

    async def wait(self, max_wait: MaxWait = None) -> BatchInfo:
        """Wait until the batch has ended, and return its last counters; raises as `gristmill.Batch.wait`."""
        deadline = deadline_of(max_wait)
        while (info := await self.info()).state not in ENDED:
            check(self.name, deadline)
            await asyncio.sleep(_POLL_SECONDS)
        return info

    def results(
        self,
        *,
        state: str | Iterable[str] | None = None,
        follow: bool = True,
        in_order: bool = False,
        consume: bool = False,
        max_wait: MaxWait = None,
    ) -> AsyncIterator[Result[R_co]]:
        """Yield the results as items complete; parameters and errors are those of `gristmill.Batch.results`."""
        states = result_states(state, follow, consume)
        if follow:
            pages: AsyncIterator[Iterable[Result[R_co]]] = (
                page async for _, page in self.follow(in_order=in_order, consume=consume, max_wait=max_wait)
            )
        else:
            pages = _pages(lambda: self._batch.results(follow=False))
        return (result async for page in pages for result in page if not states or result.state in states)

    async def busy(self) -> list[RunningItem]:
        """The items of the batch that have run for a second or longer now; as `gristmill.Batch.busy`."""
        return await asyncio.to_thread(self._batch.busy)

    def logs(self) -> AsyncIterator[tuple[int, str]]:
        """Yield the index and the log of each item whose log the server has now, by index."""
        return ((one.index, one.log) async for one in self.results(follow=False) if one.log is not None)

    async def values(self, *, max_wait: MaxWait = None) -> AsyncIterator[R_co]:
        """Yield what the task returned for each item, in the order of the items; raises as `gristmill.Batch.values`."""
        order = ValueOrder(self.name, self._batch.read)
        async for info, page in self._lots(True, False, deadline_of(max_wait)):  # noqa: B007
            for result in page:
                yield order.value(result)
        order.check_end(info)

    async def follow(
        self, *, in_order: bool = False, consume: bool = False, max_wait: MaxWait = None
    ) -> AsyncIterator[tuple[BatchInfo, list[Result[R_co]]]]:
        """Yield the counters with the results that are new, at least twice a second, until the batch has ended.

        With `consume`, going on removes the results that were read from the server, with their input, up to 5,000 at a
        time: those of succeeded items only. Raises as `gristmill.Batch.follow`.
        """
        async for info, page in self._lots(in_order, consume, deadline_of(max_wait)):
            yield info, list(typed_results(self.name, self._batch.read, page))

    async def _lots(
        self, in_order: bool, consume: bool, deadline: Deadline
    ) -> AsyncIterator[tuple[BatchInfo, list[Result]]]:
        """As `follow`, with the values that JSON has."""
        lots = await asyncio.to_thread(
            self._batch.lots, in_order=in_order, consume=consume, deadline=deadline, blocks=False
        )
        # With a default: StopIteration cannot leave a thread.
        while lot := await asyncio.to_thread(next, lots, None):
            info, results = lot
            is_empty = True
            async for page in _pages(partial(iter, results)):
                is_empty = False
                yield info, page
            if is_empty:
                yield info, []
                if info.state not in ENDED:
                    await asyncio.sleep(_POLL_SECONDS)

    async def append(self, items: Iterable[Any], *, token: str | None = None) -> int:
        """Add items to the open batch, and return how many it did not have before; as `gristmill.Batch.append`."""
        return await asyncio.to_thread(self._batch.append, items, token=token)

    async def close(self) -> bool:
        """Take no more items; False if the batch was closed already. Raises as `gristmill.Batch.close`."""
        return await asyncio.to_thread(self._batch.close)

    async def retry(self, *, item: int | None = None, cancelled: bool = False, workflow: bool = False) -> int:
        """Run the failed and dead items again, and return their number; as `gristmill.Batch.retry`."""
        return await asyncio.to_thread(self._batch.retry, item=item, cancelled=cancelled, workflow=workflow)

    async def cancel(self, *, item: int | None = None, kill: bool = False) -> BatchInfo:
        """Start no more items of the batch, and return its counters; as `gristmill.Batch.cancel`."""
        return await asyncio.to_thread(self._batch.cancel, item=item, kill=kill)

    async def pause(self) -> bool:
        """Start no more items until the batch is resumed; False if that changes nothing."""
        return await asyncio.to_thread(self._batch.pause)

    async def resume(self) -> bool:
        """Let a paused batch go on; False if it was not paused. Raises as `gristmill.Batch.resume`."""
        return await asyncio.to_thread(self._batch.resume)

    async def delete(self) -> None:
        """Delete all that the server has of the batch."""
        await asyncio.to_thread(self._batch.delete)


async def _pages(results: Callable[[], Iterator[Result[R]]]) -> AsyncIterator[list[Result[R]]]:
    """The results in lists; a thread calls `results`, and reads."""
    iterator = await asyncio.to_thread(results)
    while page := await asyncio.to_thread(_page, iterator):
        yield page


def _page(results: Iterator[Result[R]]) -> list[Result[R]]:
    page: list[Result[R]] = []
    for result in islice(results, _PAGE):
        page.append(result)
        if result.file is not None:
            # Its value may be a large one.
            break
    return page
