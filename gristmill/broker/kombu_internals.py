"""kombu's private names that this room uses, and one of Celery's, each under a name of ours.

Beside these, the classes of the channel override kombu's hooks: each says which of its methods are such a hook.
`tests/unit/test_internals.py` asserts every name, and says what breaks when a version of kombu lacks it.
"""

import threading
from time import monotonic
from typing import Any

from kombu.asynchronous import get_event_loop
from kombu.transport import redis as stock
from kombu.transport import virtual


class StockChannel(stock.Channel):
    """kombu's Redis channel, with names for its state."""

    @property
    def expiries(self) -> dict[str, int]:
        """The queues that expire when nobody uses them, with their times in milliseconds."""
        expiries: dict[str, int] = self._expires
        return expiries

    @property
    def is_closing(self) -> bool:
        """Whether `close` was called."""
        return bool(self._closing)

    @property
    def is_draining(self) -> bool:
        """Whether `drain_events` reads, and not an event loop."""
        return bool(self.connection.cycle._in_protected_read)

    @property
    def has_delivered(self) -> bool:
        """Whether the channel has a QoS, which it makes when it delivers the first message."""
        return self._qos is not None

    def in_turn(self) -> list[str]:
        """The names of the queues that the channel consumes from, the next one first."""
        queues: list[str] = self._queue_cycle.consume(len(self.active_queues))
        return queues

    def note_turn(self, queue: str) -> None:
        """Note that a message of `queue` was delivered: another queue is next."""
        self._queue_cycle.rotate(queue)

    def deliver(self, message: dict[str, Any], queue: str) -> None:
        """Hand a message to the consumer of its queue."""
        self.connection._deliver(message, queue)

    def note_request(self, seconds: float) -> float:
        """Note that the reading connection waits for an answer from now on, and for `seconds`; return the time.

        kombu ends a connection whose answer is late.
        """
        self._in_poll, self.brpop_timeout = self.client.connection, seconds
        self._brpop_sent_at = sent_at = monotonic()
        return sent_at

    def note_answer(self) -> None:
        """Note that the answer was read: the reading connection is free, also to log in again."""
        self._in_poll = None
        self._flush_brpop_reauth()

    def abandon_answer(self) -> None:
        """Close the reading connection, whose answer nobody waits for any more."""
        self.client.connection.disconnect()
        self.note_answer()

    def note_bindings_kept(self, now: float) -> None:
        """Note that the bindings of queues with an expiry were renewed, and old ones removed, at `now` (monotonic)."""
        self._binding_expiry_refreshed_at = self._bindings_swept_at = now


class StockQoS(virtual.QoS):
    """kombu's QoS, with a name for its state."""

    @property
    def delivered(self) -> dict[str, Any]:
        """The messages that were delivered and have not ended, by tag."""
        messages: dict[str, Any] = self._delivered
        return messages


#: The timers of kombu's that look at connections, bindings and messages, each at moments of its own.
TIMERS = (
    "_restore_messages_tref",
    "_subclient_health_tref",
    "_brpop_health_tref",
    "_reauth_tref",
    "_binding_expiry_tref",
)


def replace_timers(cycle: Any, timer: Any) -> None:
    """Have `timer`, of an event loop, call `look_after` in place of kombu's timers."""
    for name in TIMERS:
        getattr(cycle, name).cancel()
        setattr(cycle, name, timer)


def look_after(cycle: Any) -> None:
    """What kombu's timers do, but for messages that are to be restored: the lease's scans look for those."""
    cycle.maybe_check_subclient_health()
    cycle.maybe_check_brpop_health()
    cycle.maybe_reauth()
    cycle.maybe_refresh_binding_expiry()


def dumps_models(task: Any) -> bool:
    """Whether Celery turns the arguments of the task's calls, which are pydantic models, into dicts."""
    return task._dump_pydantic_arguments is not None


def loop_of_this_thread() -> Any:
    """The event loop that runs in this thread; None if there is none."""
    hub = get_event_loop()
    return hub if hub is not None and hub._loop_thread == threading.get_ident() else None
