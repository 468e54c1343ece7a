"""Feeds items to a batch on the server, block by block; begins where an earlier run of it stopped."""

import hashlib
import signal
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import suppress

from redis.exceptions import RedisError

from gristmill.batches.ledger import AlreadyFeeding, DifferentInput, Feed, Ledger
from gristmill.errors import BatchCancelled, Refused, ServerError
from gristmill.producer.backpressure import Backpressure, Stopped
from gristmill.server.connection import reaching

#: A block ends at this many items or bytes, or when it is this old: a slow input's items do not wait for more.
BLOCK_ITEMS, BLOCK_BYTES, BLOCK_SECONDS = 4000, 64 << 10, 0.25
#: Seconds between two signs of life of a producer whose input is slow.
ALIVE_SECONDS = 1.0


class Feeder:
    """Sends items to one batch. A context manager: a thread of it sends what a slow input has given so far.

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
        #: What the thread that sends in between has met.
        self.failure: Exception | None = None
        #: Whether the main thread is in `send`: it may wait for a slow input there.
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
        """Send what was read and is good, unless the server has no room; the same command goes on from there."""
        with self._lock, suppress(ServerError, RedisError):
            with suppress(Stopped):
                self._flush()
            self.ledger.let_go(self.batch, self.token)

    def send(self, items: Iterator[str], same: Callable[[], None], place: Callable[[], str]) -> int:
        """Send what of `items` the batch does not have yet; answers how many that were.

        `same` is called once the items that it has are known to be these; `place` says where the last item stood.

        Raises:
            DifferentInput: the batch has other items than these.
            AlreadyFeeding: another producer took over.
            BatchCancelled: the batch was cancelled.
            Stopped: `stop` is set.
            Full: the server is still full at the deadline.
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
                raise DifferentInput(f"it has ended with {before:,} items, and this input has more, from {place()} on")
            with self._lock:
                self._raise_failure()
                self._add(item)
        with self._lock:
            self._raise_failure()
            self._flush()

    def _skip(self, items: Iterator[str], place: Callable[[], str]) -> None:
        """Pass over the items that are stored already, and make sure that they are the same."""
        theirs = self.ledger.items(self.batch)
        at, text = next(theirs, (-1, ""))
        for index in range(self.feed.stored):
            if self.stop.is_set():
                raise Stopped
            item = next(items, None)
            if item is None:
                raise DifferentInput(f"it has {self.feed.stored:,} items, and this input only {index:,}")
            if index == at:
                if item != text:
                    raise DifferentInput(f"item {index} was {text[:80]}, now it is {item[:80]} ({place()})")
                at, text = next(theirs, (-1, ""))
            self._sha.update(f"{item}\n".encode())
        if self.feed.stored and self._sha.hexdigest() != self.feed.sha:
            raise DifferentInput("they differ in an item whose result was consumed, so that it cannot be shown")

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
        """Say that the input has ended; `rejected` items of it were bad and skipped."""
        self._patiently(lambda: self.ledger.end(self.batch, self.token, rejected))

    def _patiently(self, call: Callable[[], None]) -> None:
        """Call the server; as long as it has no room, and nobody wants to stop, call again."""
        while True:
            try:
                with reaching():
                    call()
            except Refused as error:
                self._backpressure.hold(str(error), self)
            else:
                return self._backpressure.release()

    def send_heartbeat(self) -> None:
        """Stay the producer: another of the same name would take one that says nothing for dead."""
        # A disk that is full takes no sign of life either.
        with suppress(Refused), reaching():
            self.ledger.producer_heartbeat(self.batch, self.token)

    def _flush_old(self) -> None:
        said = time.monotonic()
        while not self.stop.wait(BLOCK_SECONDS / 2):
            now = time.monotonic()
            with self._lock:
                try:
                    if self._block and now - self._since > BLOCK_SECONDS:
                        self._flush()
                    elif now - said > ALIVE_SECONDS and not self.feed.input_ended:
                        self.send_heartbeat()
                        said = now
                except Stopped:
                    return
                except Exception as error:
                    self.failure = error
                    self._wake()
                    return

    def _wake(self) -> None:
        """Interrupt a main thread that waits for its input, so that it learns of the failure (in `__exit__`)."""
        main = threading.main_thread().ident
        if self._sending and main and signal.getsignal(signal.SIGINT) is signal.default_int_handler:
            signal.pthread_kill(main, signal.SIGINT)

    def _raise_failure(self) -> None:
        if self.stop.is_set():
            raise Stopped
        if self.failure is not None:
            raise self.failure
