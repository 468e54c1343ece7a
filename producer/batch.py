"""A submitted batch: to be followed, read and controlled."""

import time
from collections.abc import Iterable, Iterator

from gristmill.batches.control import Control, Running
from gristmill.batches.info import ENDED, BatchInfo
from gristmill.batches.ledger import Ledger
from gristmill.batches.reader import ResultReader
from gristmill.batches.result import Result
from gristmill.batches.result_consumer import ResultConsumer
from gristmill.config.settings import settings
from gristmill.errors import InputError
from gristmill.fleet.registry import WorkerRegistry
from gristmill.producer.deadline import Deadline
from gristmill.producer.identity import user_at_host
from gristmill.server.connection import client, reaching

#: Milliseconds that one wait for results takes at most, so that an end or a timeout is noticed soon.
_WAIT_MS = 500
#: Seconds between two looks for what is next in order; items that are read in order at a time.
_POLL_SECONDS, _LOT = 0.2, 5000


class Batch:
    """One batch on the server, by name."""

    def __init__(self, name: str, ledger: Ledger) -> None:
        self.name = name
        self.ledger = ledger

    def __repr__(self) -> str:
        return f"Batch({self.name!r})"

    def info(self) -> BatchInfo:
        """Its state and counters now.

        Raises:
            InputError: the batch was forgotten.
        """
        fields = self.ledger.state(self.name)
        if "task" not in fields:
            raise InputError(f"no batch is called {self.name!r}: `gristmill batches` lists them")
        return BatchInfo.from_fields(self.name, fields)

    def wait(self, timeout: float | None = None) -> BatchInfo:
        """Wait until every item has an outcome.

        Raises:
            TimeoutError: that took more than `timeout` seconds.
        """
        for info in self.watch(timeout):
            last = info
        return last

    def watch(self, timeout: float | None = None, every: float = 0.2) -> Iterator[BatchInfo]:
        """Its counters every so many seconds, until it has ended (the last is then what it ended with).

        Raises:
            TimeoutError: it has not ended after `timeout` seconds.
        """
        deadline = Deadline(timeout)
        while True:
            info = self.info()
            yield info
            if info.state in ENDED:
                return
            self._check(deadline)
            time.sleep(every)

    def results(
        self, *, follow: bool = True, in_order: bool = False, consume: bool = False, timeout: float | None = None
    ) -> Iterator[Result]:
        """Its results: as they complete, or by index with `in_order`; until the batch has ended with `follow`,
        else those that are there, by index. `consume` as with `follow`.

        Raises:
            TimeoutError: the batch has not ended after `timeout` seconds.
            ValueError: `consume` without `follow`.
        """
        if not follow:
            if consume:
                raise ValueError("consume=True goes with follow=True")
            yield from self._reader().in_order(0, self.info().submitted)
            return
        for _, found in self.follow(in_order=in_order, consume=consume, timeout=timeout):
            yield from found

    def follow(
        self, *, in_order: bool = False, consume: bool = False, timeout: float | None = None
    ) -> Iterator[tuple[BatchInfo, Iterable[Result]]]:
        """Its counters with the results that are new, at least twice a second, until it has ended.

        Each lot of results is to be read before the next is asked for. With `consume`, asking for the next removes
        from the server those of succeeded items that were read, and what only they needed.

        Raises:
            TimeoutError: the batch has not ended after `timeout` seconds.
        """
        deadline = Deadline(timeout)
        consumer = self._consumer() if consume else None
        return self._follow_in_order(deadline, consumer) if in_order else self._follow(deadline, consumer)

    def retry(self, *, cancelled: bool = False) -> int:
        """Have its failed and dead items run again, with `cancelled` also the cancelled ones; answers how many.

        Each keeps the count of its attempts, and may be tried again as often as the task says.

        Raises:
            InputError: it is being cancelled, and items of it still run; or, as with all of these, it was forgotten.
        """
        return self._control().retry(self.name, cancelled=cancelled)

    def cancel(self, *, kill: bool = False) -> BatchInfo:
        """Have nothing more of it run, and answer its counters: what is still open runs, and will be recorded.

        With `kill`, what runs in processes is ended, and cancelled too; threads cannot be ended.
        A batch that has ended stays as it is.
        """
        workers = WorkerRegistry(self.ledger.client, settings()).workers() if kill else []
        killable = [worker.name for worker in workers if worker.pool == "prefork"]
        _kill(self._control().cancel(self.name, f"by {user_at_host()}", killable) or [])
        return self.info()

    def pause(self) -> bool:
        """Have nothing more of it begin until it is resumed; False when that changes nothing, as it is paused, being
        cancelled or has ended."""
        return self._control().pause(self.name)

    def resume(self) -> bool:
        """Have it go on; False when it was not paused."""
        return self._control().resume(self.name)

    def forget(self) -> None:
        """Delete all that the server has of it. What still runs of it is dropped when it ends."""
        self.ledger.forget(self.name)

    def _control(self) -> Control:
        # Else a batch that was forgotten would seem to be paused, or without failed items.
        self.info()
        return Control(self.ledger.client, settings())

    def _reader(self) -> ResultReader:
        return ResultReader(self.ledger.client, settings(), self.name)

    def _consumer(self) -> ResultConsumer:
        created = round(self.info().created * 1000)
        return ResultConsumer(self.ledger.client, settings(), self.name, created)

    def _follow(
        self, deadline: Deadline, consumer: ResultConsumer | None
    ) -> Iterator[tuple[BatchInfo, Iterable[Result]]]:
        reader, event = self._reader(), "0-0"
        while True:
            # Asked before the events: what is recorded in between is read, not missed.
            info = self.info()
            ended = info.state in ENDED
            before, (event, found) = event, reader.after(event, 0 if ended else _WAIT_MS)
            yield info, consumer.noted(found) if consumer else found
            if consumer and event != before:
                consumer.consume(upto=event)
            if ended and not found:
                if info.cancelled:
                    yield info, reader.cancelled(info.submitted)
                return
            self._check(deadline)

    def _follow_in_order(
        self, deadline: Deadline, consumer: ResultConsumer | None
    ) -> Iterator[tuple[BatchInfo, Iterable[Result]]]:
        reader, first = self._reader(), 0
        while True:
            info = self.info()
            end = min(reader.prefix(first), info.submitted, first + _LOT)
            found = reader.in_order(first, end)
            yield info, consumer.noted(found) if consumer else found
            if consumer and end > first:
                consumer.consume(below=end)
            if info.state in ENDED and end == info.submitted:
                return
            self._check(deadline)
            if end - first < _LOT:
                time.sleep(_POLL_SECONDS)
            first = end

    def _check(self, deadline: Deadline) -> None:
        if deadline.over:
            raise TimeoutError(f"batch {self.name!r} has not ended after {deadline.seconds:g} s; it goes on")


def _kill(running: Iterable[Running]) -> None:
    """End the processes that run these chunks."""
    for worker, chunk in running:
        # To its worker only: others would write down that they do not know it. Code that heeds no TERM ends too.
        from gristmill.tasks.application import app

        app.control.revoke(chunk.message_id, terminate=True, signal="SIGKILL", destination=[worker])


def open_batch(name: str) -> Batch:
    """The batch called `name`.

    Raises:
        InputError: there is none.
        ServerError: the server cannot be reached.
    """
    with reaching():
        batch = Batch(name, Ledger(client(), settings()))
        batch.info()
    return batch


def batches() -> list[BatchInfo]:
    """All batches on the server, oldest first.

    Raises:
        ServerError: the server cannot be reached.
    """
    with reaching():
        ledger = Ledger(client(), settings())
        states = ((name, ledger.state(name)) for name in ledger.names())
        return [BatchInfo.from_fields(name, fields) for name, fields in states if "task" in fields]
