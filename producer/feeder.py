"""Feeds items to a batch on the server, block by block; begins where an earlier run of it stopped."""

import hashlib
import signal
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import suppress

from redis.exceptions import RedisError

from batches.ledger import Feed, Ledger, OtherInput
from broker.connection import reaching
from config.errors import Cancelled, Refused, ServerError

#: A block ends at this many items or bytes, or when it is this old: a slow input's items do not wait for more.
BLOCK_ITEMS, BLOCK_BYTES, BLOCK_SECONDS = 4000, 64 << 10, 0.25
#: Seconds between two signs of life of a producer whose input is slow.
ALIVE_SECONDS = 1.0
#: Seconds between two tries while the server has no room.
REFUSED_SECONDS = 1.0


class Feeder:
    """Sends items to one batch. A context manager: a thread of it sends what a slow input has given so far.

    While the server has no room, in memory or on its disk, it waits; `say` gets a line when that begins and ends.
    """

    def __init__(self, ledger: Ledger, batch: str, token: str, feed: Feed, say: Callable[[str], None]) -> None:
        self.ledger, self.batch, self.token, self.feed = ledger, batch, token, feed
        #: Items stored on the server, those of earlier runs included.
        self.stored = feed.stored
        self._say = say
        self._sha = hashlib.sha256()
        self._block: list[str] = []
        self._bytes = 0
        self._since = time.monotonic()
        self._lock = threading.Lock()
        self._done = threading.Event()
        self._failure: Exception | None = None
        #: Whether the main thread is in `send`: it may wait for a slow input there.
        self._sending = False
        self._flusher = threading.Thread(target=self._flush_old, name="feeder", daemon=True)

    def __enter__(self) -> "Feeder":
        self._flusher.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        self._done.set()
        self._flusher.join()
        if kind is KeyboardInterrupt and self._failure is not None:
            raise self._failure
        if kind is not None and not issubclass(kind, OtherInput | Cancelled) and self._failure is None:
            # What was read and is good is sent: the same command goes on from there. Without the server, without it.
            with self._lock, suppress(ServerError, RedisError):
                self._flush()
                self.ledger.let_go(self.batch, self.token, self.stored)

    def send(self, items: Iterator[str]) -> int:
        """Send what of `items` the batch does not have yet; answers how many that were.

        Raises:
            OtherInput: the batch has other items than these.
            Fed: another producer took over.
            Cancelled: the batch was cancelled.
        """
        before = self.stored
        self._sending = threading.current_thread() is threading.main_thread()
        try:
            self._send(items)
        finally:
            with self._lock:
                self._sending = False
        return self.stored - before

    def _send(self, items: Iterator[str]) -> None:
        before = self.stored
        self._skip(items)
        for item in items:
            if self.feed.ended:
                raise OtherInput(f"it has ended with {before:,} items, and this input has more")
            with self._lock:
                self._raise_failure()
                self._add(item)
        with self._lock:
            self._raise_failure()
            self._flush()

    def _skip(self, items: Iterator[str]) -> None:
        """Pass over the items that are stored already, and make sure that they are the same."""
        for index in range(self.feed.stored):
            item = next(items, None)
            if item is None:
                raise OtherInput(f"it has {self.feed.stored:,} items, and this input only {index:,}")
            self._sha.update(f"{item}\n".encode())
        if self.feed.stored and self._sha.hexdigest() != self.feed.sha:
            raise OtherInput(f"its first {self.feed.stored:,} items are not the same")

    def _add(self, item: str) -> None:
        if not self._block:
            self._since = time.monotonic()
        self._block.append(item)
        self._bytes += len(item)
        if len(self._block) >= BLOCK_ITEMS or self._bytes >= BLOCK_BYTES:
            self._flush()

    def _flush(self) -> None:
        if self._block:
            sha = self._sha.copy()
            sha.update("".join(f"{item}\n" for item in self._block).encode())
            block = (self.stored, self._block, sha.hexdigest())
            self._patiently(lambda: self.ledger.append(self.batch, self.token, *block))
            self._sha = sha
            self.stored += len(self._block)
            self._block, self._bytes = [], 0

    def end(self, rejected: int) -> None:
        """Say that the input has ended; `rejected` items of it were bad and skipped."""
        self._patiently(lambda: self.ledger.end(self.batch, self.token, rejected))

    def _patiently(self, call: Callable[[], None]) -> None:
        """Call the server; as long as it has no room, and nobody wants to stop, call again."""
        waits = False
        while True:
            try:
                with reaching():
                    call()
            except Refused as error:
                if not waits and not self._done.is_set():
                    self._say(f"{error}; waiting for room, {self.stored:,} items are stored")
                waits = True
                if self._done.wait(REFUSED_SECONDS):
                    raise
            else:
                if waits:
                    self._say("there is room again: going on")
                return

    def _flush_old(self) -> None:
        said = time.monotonic()
        while not self._done.wait(BLOCK_SECONDS / 2):
            now = time.monotonic()
            with self._lock:
                try:
                    if self._block and now - self._since > BLOCK_SECONDS:
                        self._flush()
                    elif now - said > ALIVE_SECONDS and not self.feed.ended:
                        # Else another producer of the same name would take an input that is slow for a dead one.
                        self._patiently(lambda: self.ledger.append(self.batch, self.token, self.stored, [], ""))
                        said = now
                except Exception as error:
                    self._failure = error
                    self._wake()
                    return

    def _wake(self) -> None:
        """Interrupt a main thread that waits for its input, so that it learns of the failure (in `__exit__`)."""
        main = threading.main_thread().ident
        if self._sending and main and signal.getsignal(signal.SIGINT) is signal.default_int_handler:
            signal.pthread_kill(main, signal.SIGINT)

    def _raise_failure(self) -> None:
        if self._failure is not None:
            raise self._failure
