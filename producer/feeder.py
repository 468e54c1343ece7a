"""Feeds items to a batch on the server, block by block, from where an earlier producer of the batch stopped."""

import hashlib
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from queue import SimpleQueue

from redis.exceptions import RedisError

from gristmill.batches.feed import AlreadyFeeding, DifferentInput, Feed
from gristmill.config.figures import item_count
from gristmill.errors import BatchCancelled, GristmillError, ServerError, ServerFull
from gristmill.producer.backpressure import Backpressure, Stopped
from gristmill.producer.item_store import ItemStore
from gristmill.producer.items.checked import ItemLot
from gristmill.producer.sent_blocks import Block, SentBlocks
from gristmill.server.connection import reaching
from gristmill.server.heartbeat import PeriodicCall, heartbeat_of
from gristmill.server.waiting import COMMAND

#: A block ends at this many items or bytes, or when it is this old: a slow input's items do not wait for more.
BLOCK_ITEMS, BLOCK_BYTES, BLOCK_SECONDS = 4000, 64 << 10, 0.25
#: Seconds between two signs of life of a producer whose input is slow.
ALIVE_SECONDS = 1.0


class Feeder:
    """Sends items to one batch. In its context the process's heartbeat sends what a slow input has given so far.

    Setting `stop` makes it raise Stopped. What goes wrong in the heartbeat is put into `problems`, and raised with the
    next item.
    """

    def __init__(
        self,
        ledger: ItemStore,
        batch: str,
        token: str,
        feed: Feed,
        backpressure: Backpressure,
        stop: threading.Event,
        problems: SimpleQueue[Exception],
    ) -> None:
        self.ledger, self.batch, self.token, self.feed = ledger, batch, token, feed
        #: Items stored on the server, those of earlier runs included.
        self.stored = feed.stored
        self.stop, self.problems = stop, problems
        #: What limits by value know an item by, if the batch has such limits.
        self.limit_value: Callable[[str], str] | None = None
        self._backpressure = backpressure
        self._sha = hashlib.sha256()
        self._items: list[str] = []
        self._bytes = 0
        #: A block that was sent, and perhaps stored: only the same block again finds out.
        self._unanswered: Block | None = None
        self._sent_blocks = SentBlocks(batch, token)
        self._since = self._answered_at = time.monotonic()
        self._lock = threading.Lock()
        self._heartbeat = heartbeat_of(ledger.client)
        self._call = PeriodicCall("producer", BLOCK_SECONDS / 2, self._keep_up)

    def __enter__(self) -> "Feeder":
        self._heartbeat.add(self._call)
        return self

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        self._heartbeat.remove(self._call)
        self.stop.set()
        if kind and not issubclass(kind, DifferentInput | AlreadyFeeding | BatchCancelled | ServerError):
            self.let_go()

    def let_go(self) -> None:
        """Send the good items that were read, unless the server has no room; the same command goes on from there."""
        with self._lock, suppress(GristmillError, RedisError):
            with suppress(Stopped):
                self._flush()
            with suppress(ServerFull):
                self._sent_blocks.settle(self.ledger)
            self.ledger.let_go(self.batch, self.token)

    def send(self, lots: Iterator[ItemLot], same: Callable[[], None], place: Callable[[int], str]) -> int:
        """Send those items of `lots` that the batch does not have yet; return their number.

        `same` is called as soon as the batch's items are known to be the first of these; `place` returns the place of
        the item of a number in the input.

        Raises:
            DifferentInput: the batch has other items.
            AlreadyFeeding: another producer took over.
            BatchCancelled: the batch was cancelled.
            Stopped: `stop` is set.
            Full: the server is still full at the deadline of the backpressure.
        """
        before = self.stored
        if before:
            lots = (ItemLot(number, [text]) for first, texts in lots for number, text in enumerate(texts, first))
            self._skip(lots, place)
        if not self.feed.input_ended:
            same()
        for number, texts in lots:
            if self.feed.input_ended:
                where = place(number)
                raise DifferentInput(f"it ended with {item_count(before)}, and this input has more, from {where} on")
            with self._lock:
                self._raise_problem()
                self._add(texts)
        with self._lock:
            self._raise_problem()
            self._flush()
            self._until_room(lambda: self._sent_blocks.settle(self.ledger))
        return self.stored - before

    def _skip(self, lots: Iterator[ItemLot], place: Callable[[int], str]) -> None:
        """Read past the items that are stored already, and make sure that they are the same."""
        theirs = self.ledger.items(self.batch)
        at, text = next(theirs, (-1, ""))
        for index in range(self.feed.stored):
            if self.stop.is_set():
                raise Stopped
            lot = next(lots, None)
            if lot is None:
                raise DifferentInput(f"it has {item_count(self.feed.stored)}, and this input has only {index:,}")
            number, [item] = lot
            if index == at:
                if item != text:
                    raise DifferentInput(f"item {index} was {text[:80]}, now it is {item[:80]} ({place(number)})")
                at, text = next(theirs, (-1, ""))
            self._sha.update(f"{item}\n".encode())
        if self._sha.hexdigest() != self.feed.sha:
            raise DifferentInput(
                "they differ in an item that was removed with its result (consumed), so it cannot be shown"
            )

    def _add(self, texts: list[str]) -> None:
        if not self._items:
            self._since = time.monotonic()
        self._items += texts
        self._bytes += sum(map(len, texts))
        if len(self._items) >= BLOCK_ITEMS or self._bytes >= BLOCK_BYTES:
            self._flush()

    def _flush(self) -> None:
        while block := self._block():
            self._backpressure.wait(block.size, self)
            self._until_room(lambda: self._store(self.ledger, block))

    def _block(self) -> Block | None:
        """The next block to send, if there are items; the same one until it is known to be stored."""
        if self._unanswered is None and self._items:
            self._sha.update(("\n".join(self._items) + "\n").encode())
            values = "".join(map(self.limit_value, self._items)) if self.limit_value else ""
            self._unanswered = Block(self.stored, self._items, self._sha.hexdigest(), self._bytes, values)
            self._items, self._bytes = [], 0
        return self._unanswered

    def _store(self, ledger: ItemStore, block: Block) -> None:
        self._sent_blocks.send(ledger, block)
        self.stored += len(block.items)
        self._unanswered = None
        self._answered_at = time.monotonic()

    def end(self, rejected: int) -> None:
        """Mark the end of the input, of which `rejected` bad items were skipped."""
        self._until_room(lambda: self.ledger.end(self.batch, self.token, rejected))

    def _until_room(self, call: Callable[[], None]) -> None:
        """Call the server, and call again as long as it has no room and nobody stops the producer."""
        while True:
            try:
                with reaching():
                    call()
            except ServerFull as error:
                self._backpressure.hold(str(error), self)
            else:
                return self._backpressure.release()

    def send_heartbeat(self) -> None:
        """Stay the batch's producer: another producer would take over from one without a heartbeat."""
        # A server whose disk is full refuses heartbeats too.
        with suppress(ServerFull), reaching():
            self.ledger.producer_heartbeat(self.batch, self.token)

    def _keep_up(self) -> None:
        """Send an old block, or a sign of life. Runs in the heartbeat, which must not wait for anything."""
        if not self._lock.acquire(blocking=False):
            # Somebody sends.
            return
        try:
            if not self.stop.is_set():
                with reaching():
                    self._send_old(self.ledger.through(self._heartbeat.client))
        except ServerFull as error:
            self._since = self._answered_at = time.monotonic()
            self._backpressure.tell(str(error), self)
        except GristmillError as error:
            if not isinstance(error, ServerError) or time.monotonic() - self._answered_at > COMMAND.seconds:
                self.problems.put(error)
                self._heartbeat.remove(self._call)
        finally:
            self._lock.release()

    def _send_old(self, ledger: ItemStore) -> None:
        is_old = (self._items or self._unanswered) and time.monotonic() - self._since > BLOCK_SECONDS
        if is_old and not self._backpressure.has_room(self._bytes, ledger.client):
            self._backpressure.tell(self._backpressure.shortage(), self)
        elif is_old and (block := self._block()):
            self._store(ledger, block)
            self._backpressure.release()
            return
        if time.monotonic() - self._answered_at > ALIVE_SECONDS and not self.feed.input_ended:
            # A failover may have taken back what the input gave last, and the input may be silent for long.
            self._sent_blocks.settle(ledger)
            ledger.producer_heartbeat(self.batch, self.token)
            self._answered_at = time.monotonic()

    def _raise_problem(self) -> None:
        if self.stop.is_set():
            raise Stopped
        if not self.problems.empty():
            raise self.problems.get()
