"""Submits a batch: checks its items, stores them, and can be repeated until all are stored."""

import json
import logging
import re
import secrets
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import suppress
from itertools import chain
from typing import Any

from gristmill.batches.ledger import PRODUCER_LEASE, AlreadyFeeding, DifferentInput, Feed, Ledger
from gristmill.config.settings import settings
from gristmill.errors import InputError, ServerError
from gristmill.producer.backpressure import Backpressure, Stopped
from gristmill.producer.batch import Batch
from gristmill.producer.batch_options import BatchOptions
from gristmill.producer.deadline import NEVER, Deadline
from gristmill.producer.feeder import Feeder
from gristmill.producer.identity import user_at_host
from gristmill.producer.items import Source
from gristmill.producer.items.checked import CheckedItems
from gristmill.server.connection import client, reaching
from gristmill.tasks.kinds import GristmillTask

log = logging.getLogger(__name__)

_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}")


class Submission:
    """One run of submitting a batch."""

    def __init__(
        self,
        task: GristmillTask[..., Any],
        source: Source,
        *,
        name: str | None = None,
        fixed: Mapping[str, Any] | None = None,
        on_bad: Callable[[str], None] | None = None,
        queue: str | None = None,
        options: BatchOptions | None = None,
        on_wait: Callable[[str], None] = log.warning,
    ) -> None:
        self.task = task
        self.options = options or BatchOptions.of()
        #: Gets a line when the server has no room and submitting waits.
        self.on_wait = on_wait
        #: The queue that its chunks go to: its kind's, unless pools are compared.
        self.queue = queue or str(task.kind)
        self.items = CheckedItems(task, source, fixed or {}, on_bad)
        self.name = automatic_name(task.name) if name is None else checked_name(name)
        #: Set once it is known that what the batch had before are these items.
        self.verified = threading.Event()
        self._stop = threading.Event()
        self._feeder: Feeder | None = None
        #: Whether anything changed on the server.
        self.anything_new = False
        #: Whether all items are stored.
        self.complete = False

    @property
    def stored(self) -> int:
        """Its items on the server, those of earlier runs included."""
        return self._feeder.stored if self._feeder else 0

    @property
    def failure(self) -> Exception | None:
        """What sending has met while it waits for its input."""
        return self._feeder.failure if self._feeder else None

    @property
    def rejected(self) -> int:
        """Bad items that were skipped."""
        return self.items.rejected

    def check(self) -> None:
        """Check every item of a source that can be read twice; nothing is sent.

        Raises:
            InputError: naming the place of the first bad item, or saying that there is none.
        """
        if self.items.source.regular:
            on_bad = self.items.on_bad
            self.items.on_bad = on_bad and (lambda _: None)
            good = sum(1 for _ in self.items)
            self.items.on_bad = on_bad
            if not good:
                # Once more, for what is said of the bad ones.
                list(self.items)
                raise InputError(f"{self.items.source.name}: no items" + (" that are good" if self.rejected else ""))

    def send(self, deadline: Deadline = NEVER) -> Batch:
        """Store the items; when it returns, all of them are on the server. Called again, it stores what is missing.

        While the server is full it waits, until the deadline.

        Raises:
            InputError: a bad item in a stream (those before it are stored), no items, or other input under
                the batch's name.
            BatchCancelled: the batch was cancelled before all its items were stored.
            ServerError: the server cannot be reached or refuses writes.
            Full: the server is still full at the deadline, a TimeoutError.
            Stopped: by `stop`.
        """
        with reaching():
            ledger = Ledger(client(), settings())
        if not self.complete:
            self._send(ledger, Backpressure(ledger.client, self.on_wait, deadline))
            self.complete = True
        self.verified.set()
        return self.batch()

    def restart(self) -> None:
        """Get ready to be sent in another thread, also after a `stop`."""
        self.verified.clear()
        self._stop.clear()
        if self._feeder:
            self._feeder.failure = None

    def send_heartbeat(self) -> None:
        """Stay the producer of the batch.

        Raises:
            AlreadyFeeding: another producer took over.
            BatchCancelled: the batch was cancelled before all its items were stored.
        """
        if self._feeder:
            self._feeder.send_heartbeat()

    def stop(self) -> None:
        """Have `send` stop, in another thread; what it has read is sent. It may go on waiting for its input."""
        self._stop.set()
        if self._feeder:
            with suppress(ServerError), reaching():
                self._feeder.let_go()

    def batch(self) -> Batch:
        """The batch, whatever is stored of it."""
        with reaching():
            return Batch(self.name, Ledger(client(), settings()))

    def _send(self, ledger: Ledger, backpressure: Backpressure) -> None:
        items = iter(self.items)
        first = next(items, None)
        if first is None:
            raise InputError(f"{self.items.source.name}: no items")
        with reaching():
            token = secrets.token_hex(8)
            feed = self._begin(ledger, token)
            self._feeder = Feeder(ledger, self.name, token, feed, backpressure, self._stop)
            self._feed(ledger, self._feeder, chain([first], items))

    def _feed(self, ledger: Ledger, feeder: Feeder, items: Iterator[str]) -> None:
        try:
            with feeder:
                sent = feeder.send(items, self.verified.set, self.items.place)
                if not feeder.feed.input_ended:
                    feeder.end(self.rejected)
            self.anything_new = sent > 0 or not feeder.feed.input_ended
        except DifferentInput as error:
            state = ledger.state(self.name)
            when = time.strftime("%Y-%m-%d %H:%M:%S", time.localtime(int(state["created"]) / 1000))
            raise DifferentInput(
                f"batch {self.name!r} was submitted from other input by {state['submitted_by']} at {when}: "
                f"{error}; take another --name"
            ) from None

    def _begin(self, ledger: Ledger, token: str) -> Feed:
        task = self.task
        fields = {
            "task": task.name,
            "queue": self.queue,
            "parameter": self.items.parameter,
            "fixed": json.dumps(self.items.fixed, sort_keys=True),
            "fingerprint": task.fingerprint,
            "retries": task.retries,
            "retry_seconds": settings().retry_seconds,
            "chunk_seconds": settings().chunk_seconds,
            "submitted_by": user_at_host(),
            **self.options.fields(),
        }
        deadline = time.monotonic() + PRODUCER_LEASE / 1000 + 1
        while True:
            try:
                return ledger.create(self.name, token, fields)
            except AlreadyFeeding:
                # By a producer that lives, or by one that was killed a moment ago.
                if time.monotonic() > deadline:
                    raise
                if self._stop.wait(0.1):
                    raise Stopped from None


def checked_name(name: str) -> str:
    """The name, if a batch may have it.

    Raises:
        InputError: it may not.
    """
    if not _NAME.fullmatch(name):
        raise InputError(
            f"--name {name!r} is not allowed: up to 64 letters, digits, dots, dashes and underscores, "
            "the first a letter or digit"
        )
    return name


def automatic_name(task: str) -> str:
    """A name of its own for a batch: `fibonacci-20260131-235959-1a2b`, in UTC."""
    stem = re.sub(r"[^A-Za-z0-9._-]", "-", task).lstrip("._-")[:40] or "batch"
    return f"{stem}-{time.strftime('%Y%m%d-%H%M%S', time.gmtime())}-{secrets.token_hex(2)}"
