"""Submits a batch: checks its items and stores them; can be repeated until all items are stored."""

import json
import logging
import re
import secrets
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import suppress
from itertools import chain, islice
from queue import SimpleQueue
from typing import TYPE_CHECKING, Any

from gristmill.batches.feed import PRODUCER_LEASE, AlreadyFeeding, DifferentInput, Feed
from gristmill.batches.ledger import Ledger
from gristmill.config.names import PROGRAM, checked_name, checked_queue
from gristmill.config.resources import Resources, refuse_of_coroutines
from gristmill.config.settings import settings
from gristmill.errors import InputError, ServerError
from gristmill.producer.backpressure import Backpressure, Stopped
from gristmill.producer.batch import Batch
from gristmill.producer.batch_options import BatchOptions
from gristmill.producer.feeder import Feeder
from gristmill.producer.item_store import ItemStore
from gristmill.producer.items import Source
from gristmill.producer.items.checked import CheckedItems, ItemLot
from gristmill.producer.limiting import limit_values_of, stored_limit_values
from gristmill.producer.worker_checks import check_workers, live_workers, no_worker, other_kind, unlimited
from gristmill.server.connection import client, reaching
from gristmill.server.identity import user_at_host
from gristmill.server.waiting import NEVER, Deadline, Policy, patiently, within
from gristmill.tasks.kind import kind_of
from gristmill.tasks.remote import SubmittableTask

if TYPE_CHECKING:
    from gristmill.producer.start_time import StartTime

log = logging.getLogger(__name__)


class NoItems(InputError):
    """Raised when there is not one item, good or bad."""


class Submission:
    """One attempt to submit a batch."""

    #: Whether a batch is made now.
    makes_batch = True
    #: Whether it is no error that there are no items.
    may_be_empty = False

    def __init__(  # noqa: PLR0913
        self,
        task: SubmittableTask,
        source: Source,
        *,
        name: str | None = None,
        fixed: Mapping[str, Any] | None = None,
        on_bad: Callable[[str], None] | None = None,
        queue: str | None = None,
        options: BatchOptions | None = None,
        at: "StartTime | None" = None,
        on_wait: Callable[[str], None] = log.warning,
    ) -> None:
        self.task = task
        self.options = options or BatchOptions.of()
        #: When the batch begins; None: at once.
        self.at = at
        #: Called with each line about a wait while the server is full.
        self.on_wait = on_wait
        #: The queue of its chunks.
        self.queue = task.queue_name if queue is None else _queue_for(task, queue)
        self.resources = task.resources.with_options(self.options.slots, self.options.memory)
        refuse_of_coroutines(self.resources, task.is_async, task.name)
        self.items = CheckedItems(task, source, fixed or {}, on_bad)
        self._limit_values = limit_values_of(task, self.options.limits, self.items)
        self.name = automatic_name(task.name) if name is None else checked_name(name)
        #: Set once the items that the batch has already are known to be the first of these.
        self.verified = threading.Event()
        #: What goes wrong in other threads, for the one that waits for the submission.
        self.problems: SimpleQueue[Exception] = SimpleQueue()
        self._stop = threading.Event()
        self._feeder: Feeder | None = None
        #: Whether anything changed on the server.
        self.anything_new = False
        #: Whether all items are stored.
        self.complete = False

    @property
    def stored(self) -> int:
        """The number of items on the server, those of earlier attempts included."""
        return self._feeder.stored if self._feeder else 0

    def warnings(self, *, final: bool = False) -> list[str]:
        """What a caller should know about the workers before it waits for them; none when all is well.

        Raises:
            InputError: workers listen to the queue, and none of them can ever run the items; see `check_workers`.
        """
        of_workers = check_workers(self.task, self.queue, self.resources, final=final)
        return of_workers + unlimited(self.task, self.options.time_limit)

    def check(self) -> None:
        """Check every item of a source that can be read twice; send nothing.

        Raises:
            InputError: an item is bad (the text has the place of the first one), or there is none.
        """
        if self.items.source.regular and not self.options.source:
            on_bad = self.items.on_bad
            self.items.on_bad = on_bad and (lambda _: None)
            good = self._count_items()
            self.items.on_bad = on_bad
            if not good and not self.may_be_empty:
                # Once more, for the lines about the bad ones.
                list(self.items)
                raise self._no_items()

    def _count_items(self) -> int:
        return sum(len(lot.texts) for lot in self.items.lots())

    def send(self, deadline: Deadline = NEVER) -> Batch:
        """Store all items that the server does not have yet; while the server is full, wait until the deadline.

        Raises:
            InputError: an item of a stream is bad (those before it are stored), there are no items, or the batch was
                submitted from other input.
            BatchCancelled: the batch was cancelled before all its items were stored.
            ServerError: the server cannot be reached or refuses writes.
            Full: the server is still full at the deadline; a TimeoutError.
            Stopped: `stop` was called.
        """
        with within(deadline), reaching():
            ledger = Ledger(client(), settings())
            if not self.complete:
                self._send(ledger, Backpressure(ledger.client, self.on_wait, deadline))
                self.complete = True
        self.verified.set()
        return self.batch()

    def send_checked(self, deadline: Deadline, logger: logging.Logger) -> Batch:
        """Check the items, then store them; what a caller should know about the workers goes to `logger`.

        Raises:
            InputError: as with `check` and `warnings`; else as `send`.
        """
        self.check()
        with within(deadline), reaching():
            for warning in self.warnings():
                logger.warning(warning)
            batch = self.send(deadline)
            if not any(worker.queue == self.queue for worker in live_workers()):
                logger.warning(no_worker(self.queue, str(self.task.kind)))
        return batch

    def restart(self) -> None:
        """Prepare to be sent in another thread, also after `stop`."""
        self.verified.clear()
        self._stop.clear()
        self.problems = SimpleQueue()

    def send_heartbeat(self) -> None:
        """Stay the batch's producer.

        Raises:
            AlreadyFeeding: another producer took over.
            BatchCancelled: the batch was cancelled before all its items were stored.
        """
        if self._feeder:
            self._feeder.send_heartbeat()

    def stop(self) -> None:
        """Stop `send` in another thread: it sends the items that it has read. It may go on waiting for its input."""
        self._stop.set()
        if self._feeder:
            with suppress(ServerError), reaching():
                self._feeder.let_go()

    def batch(self) -> Batch:
        """The batch, with the items that are stored so far."""
        with reaching():
            return Batch(self.name, Ledger(client(), settings()), self.task.return_type.reader)

    def _send(self, ledger: Ledger, backpressure: Backpressure) -> None:
        if self.options.source:
            _, feed = self._begin(ledger, secrets.token_hex(8))
            self.anything_new = feed.created
            return
        lots = self.items.lots()
        first = list(islice(lots, 1))
        if not first and not self.may_be_empty:
            raise self._no_items()
        token = secrets.token_hex(8)
        store, feed = self._begin(ledger, token)
        self._feeder = Feeder(store, self.name, token, feed, backpressure, self._stop, self.problems)
        tells = self._limit_values if feed.created else stored_limit_values(ledger, self.name, self.items)
        self._feeder.limit_value = tells
        self._feed(ledger, self._feeder, chain(first, lots))

    def _no_items(self) -> InputError:
        name, rejected = self.items.source.name, self.items.rejected
        return InputError(f"{name}: no items but {rejected:,} bad ones") if rejected else NoItems(f"{name}: no items")

    def _feed(self, ledger: Ledger, feeder: Feeder, lots: Iterator[ItemLot]) -> None:
        try:
            with feeder:
                count = feeder.send(lots, self.verified.set, self.items.source.place)
                if not feeder.feed.input_ended:
                    feeder.end(self.items.rejected)
            self.anything_new = count > 0 or not feeder.feed.input_ended
        except DifferentInput as error:
            raise self._refusal(ledger, error) from None

    def _refusal(self, ledger: Ledger, error: DifferentInput) -> DifferentInput:
        state = ledger.state(self.name)
        when = time.strftime("%Y-%m-%d %H:%M:%S", time.localtime(int(state["created"]) / 1000))
        return DifferentInput(
            f"batch {self.name!r} was submitted from other input by {state['submitted_by']} at {when}: "
            f"{error}; choose another name"
        )

    def _begin(self, ledger: Ledger, token: str) -> tuple[ItemStore, Feed]:
        """Become the batch's producer; the store of its items, and how many of them are stored."""
        fields = self._fields()
        # The other producer lives, or was killed a moment ago.
        return ledger, self._when_free(lambda: ledger.create(self.name, token, fields))

    def _when_free(self, begin: Callable[[], Feed]) -> Feed:
        return patiently(
            begin,
            Policy(PRODUCER_LEASE / 1000 + 1, 0.1),
            lambda error: isinstance(error, AlreadyFeeding),
            self._sleep,
        )

    def _fields(self) -> dict[str, Any]:
        """The state with which the batch is created."""
        task, resources = self.task, self.resources
        return {
            "task": task.name,
            "kind": str(task.kind),
            "queue": self.queue,
            "parameter": self.items.parameter,
            "fixed": json.dumps(self.items.fixed, sort_keys=True),
            "fingerprint": task.fingerprint,
            "retries": task.retries,
            "retry_seconds": _retry_seconds(task),
            "chunk_seconds": settings().chunk_seconds,
            "submitted_by": user_at_host(),
            # Slots get more items of these at a time: see `chunk_size` in cut_chunks.lua.
            **({"is_async": 1} if task.is_async else {}),
            # Without them, an item takes a slot.
            **({} if resources == Resources() else {"slots": resources.slots, "memory": resources.memory}),
            **task.limits.fields("task_"),
            **self.options.fields(),
            **({} if self.at is None else {"scheduled_at": self.at.milliseconds()}),
        }

    def _sleep(self, seconds: float) -> None:
        if self._stop.wait(seconds):
            raise Stopped


def _retry_seconds(task: SubmittableTask) -> float:
    """Seconds before the second attempt of an item: none for a program, as in GNU parallel, unless they are set."""
    usual = "retry_seconds" not in settings().model_fields_set
    return 0 if usual and task.name == PROGRAM else settings().retry_seconds


def _queue_for(task: SubmittableTask, queue: str) -> str:
    name = checked_queue(queue)
    if kind_of(name) is task.kind.other and not settings().any_pool:
        raise InputError(other_kind(task, name))
    return name


def automatic_name(task: str) -> str:
    """A new name for a batch of a task: `fibonacci-20260131-235959-1a2b3c4d5e6f`, in UTC.

    Two batches of a second that get the same name would be one batch, or the second an error; 48 random bits exclude
    that also where a service submits thousands a second.
    """
    # A name has 64 characters at most, of which the time and the random bits take 29.
    stem = re.sub(r"[^A-Za-z0-9._-]", "-", task).lstrip("._-")[:35] or "batch"
    return f"{stem}-{time.strftime('%Y%m%d-%H%M%S', time.gmtime())}-{secrets.token_hex(6)}"
