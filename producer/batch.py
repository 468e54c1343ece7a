"""A batch on the server: follow it, read its results, control it."""

import logging
from collections.abc import Iterable, Iterator
from typing import Any, Generic, Self

from typing_extensions import TypeVar

from gristmill.batches.control import Control
from gristmill.batches.info import ENDED, BatchInfo
from gristmill.batches.ledger import Ledger
from gristmill.batches.reader import ResultReader
from gristmill.batches.result import Result
from gristmill.batches.result_consumer import ResultConsumer
from gristmill.batches.workflow import workflow_of
from gristmill.config.settings import settings
from gristmill.errors import InputError, unknown_batch
from gristmill.fleet.registry import WorkerRegistry
from gristmill.fleet.running_items import RunningItem, RunningItems
from gristmill.producer.batch_parameter import BatchParameter
from gristmill.producer.follower import Follower
from gristmill.producer.item_states import result_states
from gristmill.producer.value_order import Read, ValueOrder, reached, typed_results
from gristmill.producer.watching import MaxWait, check, deadline_of, watch
from gristmill.producer.worker_checks import check_code, live_workers, no_worker, to_run
from gristmill.server.connection import client, reaching
from gristmill.server.identity import cancelled_item, user_at_host
from gristmill.server.waiting import Deadline

log = logging.getLogger(__name__)

#: What the batch's task returns.
R_co = TypeVar("R_co", covariant=True, default=Any)


class Batch(BatchParameter, Generic[R_co]):
    """One batch on the server, by its name. `R_co` is what its task returns. A task's parameter may be of this type.

    Every method raises ServerError when the server cannot be reached, and InputError when the batch was deleted.
    Threads may share a Batch, but not an iterator of it.
    """

    def __init__(self, name: str, ledger: Ledger, read: Read | None = None) -> None:
        self.name = name
        self._ledger = ledger
        #: See ValueOrder.
        self.read = read

    @classmethod
    def _opened(cls, name: str) -> Self:
        with reaching():
            batch = cls(name, Ledger(client(), settings()))
        try:
            batch.info()
        except InputError as error:
            raise ValueError(str(error)) from None
        return batch

    def __repr__(self) -> str:
        return f"Batch({self.name!r})"

    def __iter__(self) -> Iterator[Result[R_co]]:
        return self.results()

    def info(self) -> BatchInfo:
        """The batch's state and counters now.

        Raises:
            InputError: the batch was deleted.
        """
        with reaching():
            infos = self._ledger.infos([self.name])
            if any(info.reason and info.state not in ENDED for info in infos):
                # Somebody cancelled it. If no worker is alive, nobody else counts what the dead ones held.
                self._ledger.tend(self.name)
                infos = self._ledger.infos([self.name])
        if not infos:
            raise unknown_batch(self.name)
        return infos[0]

    def wait(self, max_wait: MaxWait = None) -> BatchInfo:
        """Wait until the batch has ended, and return its last counters.

        Raises:
            TimeoutError: it has not ended after `max_wait`; it goes on.
        """
        for info in watch(self, deadline_of(max_wait)):
            last = info
        return last

    def results(
        self,
        *,
        state: str | Iterable[str] | None = None,
        follow: bool = True,
        in_order: bool = False,
        consume: bool = False,
        max_wait: MaxWait = None,
    ) -> Iterator[Result[R_co]]:
        """Yield the results as items complete, or by index with `in_order`, until the batch has ended.

        With `follow=False`, yield only the results that are there now, by index. `state` selects results: one state,
        several with commas between them, or a collection of `succeeded`, `failed`, `dead` and `cancelled`. `consume`
        is that of `follow`, and takes neither `state` nor `follow=False`.

        Raises:
            InputError: an option is not valid.
            TimeoutError: the batch has not ended after `max_wait`; it goes on.
        """
        states = result_states(state, follow, consume)
        if follow:
            lots = self.follow(in_order=in_order, consume=consume, max_wait=max_wait)
            results: Iterator[Result[R_co]] = (result for _, lot in lots for result in lot)
        else:
            results = iter(typed_results(self.name, self.read, self.present()))
        return (result for result in results if result.state in states) if states else results

    def present(self, *, values: bool = True) -> Iterator[Result]:
        """The results that are there now, by index, with JSON's values; without `values`, they lack those in files."""
        reader = self._reader()
        results = reader.in_order(0, self.info().submitted)
        return reached(reader.with_values(results) if values else results)

    def busy(self) -> list[RunningItem]:
        """The items that have run for a second or longer, the slowest first, as workers told within the last second."""
        with reaching():
            return RunningItems(self._ledger.client, settings()).look([self.name])

    def logs(self) -> Iterator[tuple[int, str]]:
        """Yield the index and the log of each item whose log the server has now, by index."""
        return ((result.index, result.log) for result in self.results(follow=False) if result.log is not None)

    def values(self, *, max_wait: MaxWait = None) -> Iterator[R_co]:
        """Yield what the task returned for each item, in the order of the items, as soon as each is there.

        After `submit(task)` they have the type of the task's return annotation, here and in results; else JSON's.

        Raises:
            ItemFailed: at the first item that failed, is dead or was cancelled; it has the item's Result.
            BatchCancelled: at the end, if the batch was cancelled before all its items were stored.
            InputError: a value was removed from the server with `consume`; or it does not fit the return annotation,
                because workers had another version of the task.
            TimeoutError: the batch has not ended after `max_wait`; it goes on.
        """
        order = ValueOrder(self.name, self.read)
        lots = self.lots(in_order=True, consume=False, deadline=deadline_of(max_wait))
        for info, results in lots:  # noqa: B007
            for result in results:
                yield order.value(result)
        order.check_end(info)

    def follow(
        self, *, in_order: bool = False, consume: bool = False, max_wait: MaxWait = None
    ) -> Iterator[tuple[BatchInfo, Iterable[Result[R_co]]]]:
        """Yield the counters with the results that are new, at least twice a second, until the batch has ended.

        Read each lot of results before you ask for the next one. With `consume`, asking for the next lot removes the
        results that you have read from the server, with their input: those of succeeded items only.

        Raises:
            TimeoutError: the batch has not ended after `max_wait`; it goes on.
        """
        lots = self.lots(in_order=in_order, consume=consume, deadline=deadline_of(max_wait))
        return ((info, typed_results(self.name, self.read, results)) for info, results in lots)

    def lots(
        self, *, in_order: bool, consume: bool, deadline: Deadline, blocks: bool = True, values: bool = True
    ) -> Iterator[tuple[BatchInfo, Iterable[Result]]]:
        """As `follow`, with JSON's values; unless it `blocks`, a lot is what is there, and the caller pauses.

        Without `values`, results lack those that are in files.
        """
        consumer = None
        if consume:
            created = round(self.info().created * 1000)
            consumer = ResultConsumer(self._ledger.client, settings(), self.name, created)
        follower = Follower(self.info, lambda: check(self.name, deadline), self._reader(), consumer, blocks, values)
        lots = follower.in_order() if in_order else follower.as_completed()
        return ((info, reached(results)) for info, results in reached(lots))

    def append(self, items: Iterable[Any], *, token: str | None = None) -> int:
        """Add items to the batch, which is open; return how many of them it did not have before. Waits for no item.

        Any number of programs may append at once. `token` names this append: the same one with the same items again
        adds only what is missing. Without it, an append of a list that was interrupted is continued by the next one
        with the same items.

        Raises:
            InputError: an item is not valid; the batch is closed, or was submitted without `append`.
            BatchCancelled: the batch was cancelled.
        """
        # It needs this module.
        from gristmill.producer.append import append_to

        return append_to(self.name, items, token)

    def close(self) -> bool:
        """Take no more items: the batch ends once all of its items have ended. False if it was closed already.

        Raises:
            InputError: the batch was submitted without `append`.
        """
        with reaching():
            return self._control().close(self.name)

    def retry(self, *, item: int | None = None, cancelled: bool = False, workflow: bool = False) -> int:
        """Run the failed and dead items again, with `cancelled` also the cancelled ones; return their number.

        With `item`, run only the item of that index, if it failed, is dead or was cancelled. With `workflow`, run those
        of all batches of its workflow, the oldest first: what follows takes what its source returns now.

        Each keeps the count of its attempts, and has as many retries as its task has. Warnings, such as that workers
        have another version of this batch's task than this process, go to the logger `gristmill.producer.batch`.

        Raises:
            InputError: the batch is being cancelled, and some of its items still run; or workers listen to its queue,
                and none knows its task; or the batch has no such item; or `item` and `workflow` are both given.
        """
        if item is not None and workflow:
            raise InputError(f"retry takes an item or workflow=True, not both (item={item})")
        self._warn_of_workers()
        with reaching():
            if item is not None:
                return int(self._control().retry_item(self.name, item))
            if workflow:
                names, retry = [info.name for info in workflow_of(self._ledger, self.name)], self._control().retry
                return sum(retry(name, cancelled=cancelled, workflow=True) for name in names)
            return self._control().retry(self.name, cancelled=cancelled)

    def cancel(self, *, item: int | None = None, kill: bool = False) -> BatchInfo:
        """Start no more items of the batch, and return its counters: items that run now finish and are recorded.

        With `kill`, workers end the processes and the coroutines that run its items within two seconds or so, and these
        items count as cancelled; threads cannot be ended. The server repeats to each worker what to end until that has
        done so, so a call that failed may be repeated. A batch that has ended stays as it is.

        With `item`, cancel only the item of that index, and have its worker end the run, as with `kill`. A thread goes
        on, but its outcome does not count. An item that has ended stays as it is.

        Raises:
            InputError: the batch has no such item.
        """
        with reaching():
            if item is not None:
                self._control().cancel_item(self.name, item, cancelled_item(item))
                return self.info()
            workers = WorkerRegistry(self._ledger.client, settings()).workers() if kill else []
            is_async = kill and "is_async" in self._ledger.state(self.name)
            killable = [worker.id for worker in workers if is_async or worker.pool == "prefork"]
            self._control().cancel(self.name, f"by {user_at_host()}", killable)
        return self.info()

    def pause(self) -> bool:
        """Start no more items until the batch is resumed.

        Return False if that changes nothing: the batch is paused already, is being cancelled, or has ended.
        """
        with reaching():
            return self._control().pause(self.name)

    def resume(self) -> bool:
        """Let a paused batch go on; return False if it was not paused. Warnings as for `retry`.

        Raises:
            InputError: workers listen to the batch's queue, and none knows its task.
        """
        self._warn_of_workers()
        with reaching():
            return self._control().resume(self.name)

    def delete(self) -> None:
        """Delete all that the server has of the batch; results of items that still run are dropped."""
        with reaching():
            self._ledger.delete(self.name)

    def _warn_of_workers(self) -> None:
        info = self.info()
        if not to_run(info):
            return
        with reaching():
            listening = any(worker.queue == info.queue for worker in live_workers())
            for warning in check_code(info) if listening else [no_worker(info.queue, info.kind)]:
                log.warning(warning)

    def _control(self) -> Control:
        # A batch that was deleted would seem to be paused, or to have no failed items.
        self.info()
        return Control(self._ledger.client, settings())

    def _reader(self) -> ResultReader:
        return ResultReader(self._ledger.client, settings(), self.name)
