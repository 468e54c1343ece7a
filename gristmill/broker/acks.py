"""Acknowledgements on their way: gathered for some milliseconds, sent together, kept until the server has them."""

import logging
import threading
from collections.abc import Iterable
from typing import Any

from kombu.asynchronous import get_event_loop
from redis.exceptions import RedisError

from gristmill.broker.scripts import Scripts

#: Seconds that an acknowledgement waits for others; one that is lost with its process means a second run.
GATHER_SECONDS = 0.005
#: Acknowledgements that are not kept waiting.
GATHER_MOST = 100
#: Acknowledgements in one call: no script may keep the server for long.
CALL_MOST = 200

log = logging.getLogger(__name__)


class Acks:
    """The acknowledgements of one process. They outlive its channels: what ran is sent after a reconnect.

    A tag leaves `held`, what the process holds, once the server has answered: until then the message must not
    look like one that was forgotten.
    """

    def __init__(self, scripts: Scripts, consumer: str, held: set[str]) -> None:
        self.scripts = scripts
        self.consumer = consumer
        self.held = held
        self.refused = 0
        self._waiting: dict[str, None] = {}
        self._sending: dict[str, None] = {}
        self._lock = threading.RLock()
        self._timer: Any = None

    def add(self, tag: str) -> None:
        """Acknowledge a message: soon, on the loop's thread; at once where no loop runs."""
        with self._lock:
            self._waiting[tag] = None
            many = len(self._waiting) >= GATHER_MOST
        hub = get_event_loop()
        looping = hub is not None and hub._loop_thread == threading.get_ident()
        if not looping or many:
            self.flush()
        elif self._timer is None or self._timer.canceled:
            self._timer = hub.call_later(GATHER_SECONDS, self._ring)

    def _ring(self) -> None:
        self._timer = None
        self.flush()

    def pop(self) -> list[str]:
        """Take what waits along on another call; `settle` or `put_back` has to follow."""
        with self._lock:
            tags = list(self._waiting)[:CALL_MOST]
            for tag in tags:
                del self._waiting[tag]
                self._sending[tag] = None
        return tags

    def settle(self, tags: Iterable[str], refused: Iterable[Any]) -> None:
        """The server has dealt with `tags`; `refused` are those that another worker owns by now."""
        with self._lock:
            for tag in tags:
                self._sending.pop(tag, None)
                self.held.discard(tag)
        for tag in refused:
            self.refused += 1
            name = tag.decode() if isinstance(tag, bytes) else tag
            log.warning("message %s was taken from this worker while it was silent; it may run twice", name)

    def put_back(self, tags: Iterable[str]) -> None:
        """Whether the server has dealt with `tags` is not known: acknowledging twice does no harm."""
        with self._lock:
            for tag in tags:
                self._sending.pop(tag, None)
                self._waiting[tag] = None

    def flush(self) -> None:
        """Send what waits. What cannot be sent goes on waiting: the lease's thread tries again."""
        while tags := self.pop():
            try:
                refused = self.scripts.call("ack", self.consumer, *tags)
            except (RedisError, OSError) as error:
                self.put_back(tags)
                log.warning("%d acknowledgements wait for the server: %s", len(tags), error)
                return
            self.settle(tags, refused)

    def unsettled(self) -> list[str]:
        """Messages that are done although the server may not know yet; safe to call in a signal handler."""
        return [*list(self._waiting), *list(self._sending)]
