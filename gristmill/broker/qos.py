"""The messages that a channel has delivered, and how many more it may take."""

from contextlib import suppress
from typing import Any

from kombu.log import get_logger

from gristmill.broker import leases
from gristmill.broker.kombu_internals import StockQoS
from gristmill.broker.tags import on_stream, queue_of
from gristmill.config.figures import duration
from gristmill.config.settings import settings, variable

#: Seconds for which a message stays hidden when the dead letters have no room for it.
FULL_SECONDS = 60.0
#: The most characters of a dead letter's reason.
REASON_CHARACTERS = 200

logger = get_logger(__name__)

#: After so many returns from dead workers a message is a suspect: it runs alone.
SUSPECT = 2


class QoS(StockQoS):
    """The messages that a channel has delivered. The server has known who holds them since they were taken."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        #: Tags of messages whose pool process died while it ran them.
        self.blamed: set[str] = set()
        #: Whether the channel takes no messages, whatever room there is.
        self.is_held = False

    def can_consume(self) -> bool:
        """Whether there is room for another message."""
        return not self.is_held and (not self.prefetch_count or len(self.delivered) < self.prefetch_count)

    def ack(self, delivery_tag: str) -> None:
        """Acknowledge a message; several acknowledgements travel together."""
        self.delivered.pop(delivery_tag, None)
        if on_stream(delivery_tag):
            self.channel.lease.acks.add(delivery_tag)

    def reject(self, delivery_tag: str, requeue: bool = False) -> None:
        """Drop a message, or with `requeue` return it to its place in its queue."""
        if not requeue:
            return self.ack(delivery_tag)
        message = self.delivered.pop(delivery_tag, None)
        if not on_stream(delivery_tag):
            # It came off a list and is on the server no more.
            self.channel.give_back(message)
            return None
        blamed = delivery_tag in self.blamed
        self.blamed.discard(delivery_tag)
        # If this fails, the next renewals of the lease try again.
        with suppress(*self.channel.connection_errors):
            self.channel.lease.hand_back([delivery_tag], SUSPECT if blamed else 0)
        return None

    def postpone(self, delivery_tag: str, seconds: float) -> None:
        """Return a message that nobody has begun to its queue, hidden for `seconds` seconds."""
        self._hide(delivery_tag, seconds, seconds, unseen=True)

    def postpone_longer(self, delivery_tag: str, seconds: float, most: float) -> None:
        """Return a message that ran to its queue, hidden for `seconds` seconds.

        The time doubles with each delivery of the message, up to `most` seconds.
        """
        self._hide(delivery_tag, seconds, most, unseen=False)

    def _hide(self, delivery_tag: str, seconds: float, most: float, unseen: bool) -> None:
        lease = self.channel.lease
        wait, longest = int(seconds * 1000), int(most * 1000)
        try:
            lease.scripts.call(
                "postpone", consumer=lease.consumer, wait=wait, most=longest, unseen=unseen, tags=[delivery_tag]
            )
        finally:
            # If that failed, a later scan hands the message back.
            self._drop(delivery_tag)

    def bury(self, delivery_tag: str, reason: str, deaths: int = 0) -> bool:
        """Make a message a dead letter; `deaths` says how many processes it has killed. Answers whether it is one now.

        If the dead letters have no room for it, the message returns to its queue, hidden for a minute, and the
        worker logs an error.
        """
        return bool(self._give_up("bury", delivery_tag, _encodable(reason), deaths=deaths))

    def refuse(self, delivery_tag: str, task: str) -> None:
        """Return a message, whose `task` this worker does not know, to its queue, hidden for 1 to 60 s.

        When workers have refused it for GRISTMILL_UNKNOWN_TASK_SECONDS, and no live worker on the queue knows the task,
        it becomes a dead letter.
        """
        silent, patience = self.channel.lease.seconds, settings().unknown_task_seconds
        name = _encodable(task)
        reason = f"no worker knows the task {name}: workers refused it for {duration(patience)}"
        call = {"task": name, "patience": int(patience * 1000), "silent": int(silent * 1000)}
        self._give_up("refuse", delivery_tag, reason, **call)

    def _give_up(self, script: str, delivery_tag: str, reason: str, **arguments: Any) -> int:
        """Run a script that may make a message a dead letter; return its answer."""
        lease, limit = self.channel.lease, settings().dead_letter_bytes
        call = {"consumer": lease.consumer, "limit": limit, "wait": int(FULL_SECONDS * 1000), "tag": delivery_tag}
        try:
            status = int(lease.scripts.call(script, **call, reason=reason, **arguments))
        finally:
            # If that failed, a later scan hands the message back.
            self._drop(delivery_tag)
        queue = queue_of(delivery_tag)
        if status == 0:
            logger.error(
                "no room for a dead letter: a message stays on queue %s, and workers try it again every %d s (%r). "
                "Look with `gristmill dead list`, make room with `gristmill dead requeue` or `gristmill dead delete`, "
                "or raise %s, now %d bytes",
                queue, FULL_SECONDS, reason, variable("dead_letter_bytes"), limit,
            )  # fmt: skip
        elif status == 1:
            logger.error("a message of queue %s is now a dead letter (`gristmill dead list`): %r", queue, reason)
        return status

    def _drop(self, delivery_tag: str) -> None:
        self.delivered.pop(delivery_tag, None)
        self.channel.lease.holding.discard(delivery_tag)

    def restore_unacked(self) -> list[Any]:
        """Hand back the channel's messages, except those in the pool: the pool acknowledges them when they are done.

        If the server cannot be reached, the next renewals of the lease try again.
        """
        tags = {tag for tag in self.delivered if on_stream(tag)} - leases.running()
        self.delivered.clear()
        if tags:
            with suppress(*self.channel.connection_errors):
                self.channel.lease.hand_back(tags)
        return []


def _encodable(text: str) -> str:
    """The beginning of a text that may quote a message: that may have text that cannot be encoded."""
    return text.encode(errors="backslashreplace").decode()[:REASON_CHARACTERS]
