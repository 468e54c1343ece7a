"""Acknowledgements: a process gathers them, sends them together and keeps them until the server answers."""

import logging
import threading
from collections.abc import Iterable
from typing import Any

from redis.exceptions import RedisError

from gristmill.broker.kombu_internals import loop_of_this_thread
from gristmill.broker.scripts import TransportScripts

#: Seconds that an acknowledgement waits for others, or longer while a take is on its way, whose successor has it along;
#: if the process dies meanwhile, the message runs a second time.
GATHER_SECONDS = 0.005
#: Most acknowledgements in one call: no script may occupy the server for long.
CALL_MOST = 200

log = logging.getLogger(__name__)


class Acks:
    """The acknowledgements of one process. They outlive its channels: after a reconnect the process sends them.

    `holding` has the tags of all messages that the process holds. A tag leaves it once the server has answered:
    until then the message must not look like one that the process lost sight of.
    """

    def __init__(self, scripts: TransportScripts, consumer: str, holding: set[str]) -> None:
        self.scripts = scripts
        self.consumer = consumer
        self.holding = holding
        self._waiting: dict[str, None] = {}
        self._sending: dict[str, None] = {}
        self._lock = threading.RLock()
        self._timer: Any = None

    def add(self, tag: str) -> None:
        """Acknowledge a message: together with others on the event loop's thread, at once where no loop runs."""
        with self._lock:
            self._waiting[tag] = None
        if (loop := loop_of_this_thread()) is None:
            self.flush()
        else:
            self._gather(loop)

    def _gather(self, loop: Any) -> None:
        if self._timer is None or self._timer.canceled:
            self._timer = loop.call_later(GATHER_SECONDS, self._flush_gathered, loop)

    def _flush_gathered(self, loop: Any) -> None:
        self._timer = None
        if self._sending:
            # A take has some along, and the next one has the rest; a call of their own would stop the loop meanwhile.
            self._gather(loop)
        else:
            self.flush()

    def pop(self) -> list[str]:
        """Take up to CALL_MOST waiting tags, to send them along with another call.

        The caller has to call `settle` or `put_back` with them.
        """
        with self._lock:
            tags = list(self._waiting)[:CALL_MOST]
            for tag in tags:
                del self._waiting[tag]
                self._sending[tag] = None
        return tags

    def settle(self, tags: Iterable[str], foreign: Iterable[Any]) -> None:
        """Note that the server has processed `tags`; `foreign` are those that another worker owns by now."""
        with self._lock:
            for tag in tags:
                self._sending.pop(tag, None)
                self.holding.discard(tag)
        for tag in foreign:
            log.warning("another worker took message %s while this one was silent; the message may run twice", tag)

    def put_back(self, tags: Iterable[str]) -> None:
        """Have `tags` sent again: nobody knows whether the server has processed them.

        Acknowledging a message twice does no harm.
        """
        with self._lock:
            for tag in tags:
                self._sending.pop(tag, None)
                self._waiting[tag] = None

    def flush(self) -> None:
        """Send the waiting acknowledgements. If that fails they wait on, and the lease's next renewal tries again."""
        while tags := self.pop():
            try:
                foreign = self.scripts.call("ack", consumer=self.consumer, tags=tags)
            except (RedisError, OSError) as error:
                self.put_back(tags)
                log.warning("%d acknowledgements could not be sent, retrying: %s", len(tags), error)
                return
            self.settle(tags, foreign)

    def unsettled(self) -> list[str]:
        """Tags of messages that are done although the server may not know it yet. Safe to call in a signal handler."""
        return [*list(self._waiting), *list(self._sending)]
