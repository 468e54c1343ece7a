"""What a channel has delivered and how much more it may take."""

from contextlib import suppress
from typing import Any

from kombu.log import get_logger
from kombu.transport import virtual

from gristmill.broker import leases
from gristmill.config.settings import settings, variable

#: Seconds before a message for which the dead letters had no room is looked at again.
FULL_SECONDS = 60.0
#: The longest reason of a dead letter.
REASON_CHARACTERS = 200

logger = get_logger(__name__)

#: Returns from dead workers that make a message a suspect: from then on it runs alone.
SUSPECT = 2


class QoS(virtual.QoS):
    """The messages that a channel has delivered. Who has them is on the server since they were taken."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        #: Tags of messages whose process died while it ran nothing else.
        self.blamed: set[str] = set()

    def can_consume(self) -> bool:
        """Whether there is room for another message."""
        return not self.prefetch_count or len(self._delivered) < self.prefetch_count

    def can_consume_max_estimate(self) -> int | None:
        """How many more messages there is room for; None: any number."""
        return max(0, self.prefetch_count - len(self._delivered)) if self.prefetch_count else None

    def append(self, message: Any, delivery_tag: str) -> None:
        """Note a message that was delivered."""
        self._delivered[delivery_tag] = message

    def ack(self, delivery_tag: str) -> None:
        """Acknowledge a message, together with others."""
        self._delivered.pop(delivery_tag, None)
        self.channel.lease.acks.add(delivery_tag)

    def reject(self, delivery_tag: str, requeue: bool = False) -> None:
        """Drop a message, or hand it back in place."""
        if not requeue:
            return self.ack(delivery_tag)
        self._delivered.pop(delivery_tag, None)
        blamed = delivery_tag in self.blamed
        self.blamed.discard(delivery_tag)
        # What cannot be handed back now, the lease's thread hands back once it can.
        with suppress(*self.channel.connection_errors):
            self.channel.lease.hand_back([delivery_tag], SUSPECT if blamed else 0)
        return None

    def postpone(self, delivery_tag: str, seconds: float) -> None:
        """Hand a message back that nobody shall take for some seconds."""
        self.channel.lease.scripts.call("postpone", self.channel.lease.consumer, int(seconds * 1000), delivery_tag)
        self._gone(delivery_tag)

    def bury(self, delivery_tag: str, reason: str, deaths: int = 0) -> bool:
        """Keep a message as a dead letter; `deaths` says how many processes it has killed.

        When the dead letters have no room for it, it is handed back for a minute, with an alarm: False.
        """
        # What is wrong with a message may quote it, and that may be text which cannot be written.
        said = reason.encode(errors="backslashreplace").decode()[:REASON_CHARACTERS]
        lease, most = self.channel.lease, settings().dead_letter_bytes
        kept = lease.scripts.call("bury", lease.consumer, most, int(FULL_SECONDS * 1000), said, deaths, delivery_tag)
        self._gone(delivery_tag)
        queue = delivery_tag.split("/", 2)[2]
        if kept == 0:
            logger.error(
                "no room for a dead letter: a message stays on queue %s and is tried again in %d s, and so on (%r). "
                "Look with `gristmill dead list`, make room with `gristmill dead requeue` or `gristmill dead delete`, "
                "or raise %s, now %d",
                queue, FULL_SECONDS, said, variable("dead_letter_bytes"), most,
            )  # fmt: skip
        elif kept == 1:
            logger.error("a message of queue %s is kept as a dead letter (`gristmill dead list`): %r", queue, said)
        return bool(kept)

    def _gone(self, delivery_tag: str) -> None:
        self._delivered.pop(delivery_tag, None)
        self.channel.lease.held.discard(delivery_tag)

    def restore_unacked(self) -> list[Any]:
        """Hand back what the channel leaves behind, but not what runs: that is acknowledged when it is done.

        When the server cannot be reached, the lease's thread does it once it can be.
        """
        tags = set(self._delivered) - leases.running()
        self._delivered.clear()
        if not tags:
            return []
        lease = self.channel.lease
        lease.held.difference_update(tags)
        with suppress(*self.channel.connection_errors):
            lease.hand_back(tags)
        return []

    def restore_by_tag(self, tag: str, *_: Any, **__: Any) -> None:
        """Hand one message back."""
        self.channel.lease.hand_back([tag])

    def restore_visible(self, *args: Any, **kwargs: Any) -> None:
        """Nothing to do: the lease's thread looks for what dead workers held."""
