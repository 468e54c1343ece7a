"""Feeds items to a batch on the server, block by block, from where an earlier producer of the batch stopped."""

import hashlib
import signal
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import suppress

from redis.exceptions import RedisError

from gristmill.batches.ledger import AlreadyFeeding, DifferentInput, Feed, Ledger
from gristmill.config.figures import item_count
from gristmill.errors import BatchCancelled, ServerError, ServerFull
from gristmill.producer.backpressure import Backpressure, Stopped
from gristmill.server.connection import reaching

#: A block ends at this many items or bytes, or when it is this old: a slow input's items do not wait for more.
BLOCK_ITEMS, BLOCK_BYTES, BLOCK_SECONDS = 4000, 64 << 10, 0.25
#: Seconds between two signs of life of a producer whose input is slow.
ALIVE_SECONDS = 1.0


class Feeder:
    """Sends items to one batch. In its context, a thread sends the items that a slow input has given so far.

    Setting `stop` makes it raise Stopped.
    """

    def __init__(
        self, ledger: Ledger, batch: str, token: str, feed: Feed, backpressure: Backpressure, stop: threading.Event
    ) -> None:
        self.ledger, self.batch, self.token, self.feed = ledger, batch, token, feed
        #: Items stored on the server, those of earlier runs included.
        self.stored = feed.stored
        self.stop = stop
        self._backpressure = backpressure
        self._sha = hashlib.sha256()
        self._block: list[str] = []
        self._bytes = 0
        self._since = time.monotonic()
        self._lock = threading.Lock()
        #: The error of the thread that sends in between.
        self.failure: Exception | None = None
        #: Whether the main thread is in `send`, where it may wait for a slow input.
        self._sending = False
        self._flusher = threading.Thread(target=self._flush_old, name="feeder", daemon=True)

    def __enter__(self) -> "Feeder":
        self._flusher.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        self.stop.set()
        self._flusher.join()
        if kind is KeyboardInterrupt and self.failure is not None:
            raise self.failure
        if (
            kind is not None
            and not issubclass(kind, DifferentInput | AlreadyFeeding | BatchCancelled)
            and self.failure is None
        ):
            self.let_go()

    def let_go(self) -> None:
        """Send the good items that were read, unless the server has no room; the same command goes on from there."""
        with self._lock, suppress(ServerError, RedisError):
            with suppress(Stopped):
                self._flush()
            self.ledger.let_go(self.batch, self.token)

    def send(self, items: Iterator[str], same: Callable[[], None], place: Callable[[], str]) -> int:
        """Send those of `items` that the batch does not have yet; return their number.

        `same` is called as soon as the batch's items are known to be the first of these; `place` returns the place of
        the last item in the input.

        Raises:
            DifferentInput: the batch has other items.
            AlreadyFeeding: another producer took over.
            BatchCancelled: the batch was cancelled.
            Stopped: `stop` is set.
            Full: the server is still full at the deadline of the backpressure.
        """
        before = self.stored
        self._sending = threading.current_thread() is threading.main_thread()
        try:
            self._send(items, same, place)
        finally:
            with self._lock:
                self._sending = False
        return self.stored - before

    def _send(self, items: Iterator[str], same: Callable[[], None], place: Callable[[], str]) -> None:
        before = self.stored
        self._skip(items, place)
        if not self.feed.input_ended:
            same()
        for item in items:
            if self.feed.input_ended:
                raise DifferentInput(f"it ended with {item_count(before)}, and this input has more, from {place()} on")
            with self._lock:
                self._raise_failure()
                self._add(item)
        with self._lock:
            self._raise_failure()
            self._flush()

    def _skip(self, items: Iterator[str], place: Callable[[], str]) -> None:
        """Read past the items that are stored already, and make sure that they are the same."""
        theirs = self.ledger.items(self.batch)
        at, text = next(theirs, (-1, ""))
        for index in range(self.feed.stored):
            if self.stop.is_set():
                raise Stopped
            item = next(items, None)
            if item is None:
                raise DifferentInput(f"it has {item_count(self.feed.stored)}, and this input has only {index:,}")
            if index == at:
                if item != text:
                    raise DifferentInput(f"item {index} was {text[:80]}, now it is {item[:80]} ({place()})")
                at, text = next(theirs, (-1, ""))
            self._sha.update(f"{item}\n".encode())
        if self.feed.stored and self._sha.hexdigest() != self.feed.sha:
            raise DifferentInput(
                "they differ in an item that was removed with its result (consumed), so it cannot be shown"
            )

    def _add(self, item: str) -> None:
        if not self._block:
            self._since = time.monotonic()
        self._block.append(item)
        self._bytes += len(item)
        if len(self._block) >= BLOCK_ITEMS or self._bytes >= BLOCK_BYTES:
            self._flush()

    def _flush(self) -> None:
        if not self._block:
            return
        sha = self._sha.copy()
        sha.update("".join(f"{item}\n" for item in self._block).encode())
        block = (self.stored, self._block, sha.hexdigest())
        self._backpressure.wait(self._bytes, self)
        self._patiently(lambda: self.ledger.append(self.batch, self.token, *block))
        self._sha = sha
        self.stored += len(self._block)
        self._block, self._bytes = [], 0

    def end(self, rejected: int) -> None:
        """Mark the end of the input, of which `rejected` bad items were skipped."""
        self._patiently(lambda: self.ledger.end(self.batch, self.token, rejected))

    def _patiently(self, call: Callable[[], None]) -> None:
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

    def _flush_old(self) -> None:
        heartbeat_at = time.monotonic()
        while not self.stop.wait(BLOCK_SECONDS / 2):
            now = time.monotonic()
            with self._lock:
                try:
                    if self._block and now - self._since > BLOCK_SECONDS:
                        self._flush()
                    elif now - heartbeat_at > ALIVE_SECONDS and not self.feed.input_ended:
                        self.send_heartbeat()
                        heartbeat_at = now
                except Stopped:
                    return
                except Exception as error:
                    self.failure = error
                    self._wake()
                    return

    def _wake(self) -> None:
        """Interrupt a main thread that waits for its input, so that `__exit__` raises the failure."""
        main = threading.main_thread().ident
        if self._sending and main and signal.getsignal(signal.SIGINT) is signal.default_int_handler:
            signal.pthread_kill(main, signal.SIGINT)

    def _raise_failure(self) -> None:
        if self.stop.is_set():
            raise Stopped
        if self.failure is not None:
            raise self.failure
