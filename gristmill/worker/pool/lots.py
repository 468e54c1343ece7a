"""Lots: several short messages that a pool process gets in one write. This is the end that the process has.

The process reports the end of a message together with the beginning of the next one. Behind the first message of a lot,
each one has a ticket in a pipe that the process and its worker both read: whoever reads the ticket has the message. So
a worker takes messages back from a process that a slow task occupies, and none runs twice or is forgotten.
"""

import os
import pickle
from collections import deque
from collections.abc import Callable
from contextlib import suppress
from typing import Any
from weakref import finalize

from billiard.pool import ACK, READY

from gristmill.worker.pool.billiard_internals import DupFd

#: What a message on a pipe is, beside billiard's kinds: several messages; an end, pickled, with the next beginning.
LOT, ENDED_AND_BEGUN = 16, 17


class Tickets:
    """The tickets of one process: a pipe of bytes, one for each message."""

    def __init__(self, reader: int | None = None) -> None:
        # A process has the reading end alone: it issues no tickets.
        self._reader, self._writer = os.pipe() if reader is None else (reader, -1)
        os.set_blocking(self._reader, False)
        finalize(self, _close, self._reader, self._writer)

    def __reduce__(self) -> tuple[Any, ...]:
        return _received, (DupFd(self._reader),)

    def issue(self, number: int) -> None:
        """Put that many tickets there."""
        os.write(self._writer, b"t" * number)

    def take(self, most: int) -> int:
        """Take up to `most` tickets; return how many there were."""
        try:
            return len(os.read(self._reader, most))
        except BlockingIOError:
            return 0


def _received(reader: Any) -> Tickets:
    return Tickets(reader.detach())


def _close(*descriptors: int) -> None:
    for descriptor in descriptors:
        with suppress(OSError):
            os.close(descriptor)


class Inbox:
    """What a pool process reads and reports: one message after another, alone or from a lot.

    `wait` reads a message of the worker's, or None after a while; `send` sends one to it.
    """

    def __init__(self, wait: Callable[[], Any], send: Callable[[Any], None], tickets: Tickets) -> None:
        self._wait, self._send, self._tickets = wait, send, tickets
        self._rest: deque[bytes] = deque()
        self._claimed: bytes | None = None
        self._ended: bytes | None = None

    def wait(self) -> Any:
        """The next message to run; None if none came for a while."""
        if self._claimed is not None:
            text, self._claimed = self._claimed, None
            return pickle.loads(text)  # noqa: S301 - the worker has written it
        message = self._wait()
        if message is None or message[0] != LOT:
            return message
        self._rest.extend(message[1])
        return pickle.loads(self._rest.popleft())  # noqa: S301

    def tell(self, message: Any) -> None:
        """Report to the worker; an end waits for the beginning that follows at once."""
        # After an end that could not be pickled, the process has its next message already.
        if message[0] == READY and (self._claimed is not None or self._claim()):
            # An end that cannot be pickled has to raise here.
            self._ended = pickle.dumps(message[1], pickle.HIGHEST_PROTOCOL)
        elif message[0] == ACK and self._ended is not None:
            # Forgotten after that: a signal may come between, and an end that is told twice does no harm.
            self._send((ENDED_AND_BEGUN, (self._ended, message[1])))
            self._ended = None
        else:
            self.flush()
            self._send(message)

    def flush(self) -> None:
        """Report an end whose process ends instead of going on."""
        if self._ended is not None:
            self._send((READY, pickle.loads(self._ended)))  # noqa: S301
            self._ended = None

    def _claim(self) -> bool:
        """Whether the process has the next message of its lot, which the worker has not taken back."""
        if not self._rest:
            return False
        if not self._tickets.take(1):
            self._rest.clear()
            return False
        self._claimed = self._rest.popleft()
        return True
