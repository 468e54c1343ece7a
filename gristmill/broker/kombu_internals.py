"""kombu's private names that this room uses, and one of Celery's, each under a name of ours.

kombu calls its hooks by their private names; the classes here pass each call on to a method of ours, which subclasses
override. `tests/unit/test_internals.py` asserts every name, and says what breaks when a version of kombu lacks it.
"""

import threading
from time import monotonic
from typing import Any

from kombu.asynchronous import get_event_loop
from kombu.transport import redis as stock
from kombu.transport import virtual

from gristmill.broker.senders import NEVER_REPEATED, Token


class HookedChannel(stock.Channel):
    """kombu's Redis channel. A method here that calls its namesake of `super()` does what stock kombu does."""

    # -- what kombu calls

    def _put(self, queue: str, message: dict[str, Any], **options: Any) -> None:
        token = options.get("gm_token", NEVER_REPEATED)
        self.put_message(queue, message, options.get("_publish_batch"), token)

    def _put_fanout(self, exchange: str, message: dict[str, Any], routing_key: str, **options: Any) -> None:
        self.broadcast(exchange, message, routing_key, **options)

    def _get(self, queue: str, timeout: float | None = None) -> Any:  # noqa: ARG002
        return self.take_now(queue)

    def _size(self, queue: str) -> int:
        return self.waiting_messages(queue)

    def _purge(self, queue: str) -> int:
        return self.drop_messages(queue)

    def _has_queue(self, queue: str, **_: Any) -> bool:
        return self.exists(queue)

    def _delete(self, queue: str, exchange: str, routing_key: str, pattern: str, *_: Any, **__: Any) -> None:
        self.delete_queue(queue, exchange, routing_key, pattern)

    def _queue_bind(self, exchange: str, routing_key: str, pattern: str, queue: str) -> None:
        self.bind(exchange, routing_key, pattern, queue)

    def _q_for_pri(self, queue: str, pri: int) -> str:
        return self.key_of(queue, pri)

    def _maybe_update_queues_expire(self, client: Any, queue: str) -> None:  # noqa: ARG002
        self.keep_queue(queue)

    def _restore(self, message: Any, leftmost: bool = False) -> None:  # noqa: ARG002
        self.give_back(message)

    def _connparams(self, asynchronous: bool = False) -> dict[str, Any]:
        return self.connection_parameters(asynchronous)

    def _brpop_start(self, timeout: float | None = None) -> None:  # noqa: ARG002
        self.start_reading()

    def _brpop_read(self, **options: Any) -> bool:
        return self.finish_reading(**options)

    def _poll_error(self, type: str, **options: Any) -> None:  # noqa: A002 - kombu's name
        self.finish_after_error(type, **options)

    # -- what stock kombu does

    def broadcast(self, exchange: str, message: dict[str, Any], routing_key: str, **options: Any) -> None:
        """Publish a message of a fanout exchange."""
        super()._put_fanout(exchange, message, routing_key, **options)

    def take_now(self, queue: str) -> Any:
        """Take a message without waiting, as a dict; raise Empty if there is none."""
        return super()._get(queue)

    def waiting_messages(self, queue: str) -> int:
        """The number of messages that nobody has taken."""
        return int(super()._size(queue))

    def drop_messages(self, queue: str) -> int:
        """Delete the messages that nobody has taken; return their number."""
        return int(super()._purge(queue))

    def delete_queue(self, queue: str, exchange: str, routing_key: str, pattern: str) -> None:
        """Delete a queue with its messages and its binding."""
        super()._delete(queue, exchange, routing_key, pattern)

    def bind(self, exchange: str, routing_key: str, pattern: str, queue: str) -> None:
        """Store the binding of a queue to an exchange."""
        super()._queue_bind(exchange, routing_key, pattern, queue)

    def key_of(self, queue: str, level: int) -> str:
        """The key of a queue's messages of one priority, without the prefix."""
        return str(super()._q_for_pri(queue, level))

    def connection_parameters(self, asynchronous: bool) -> dict[str, Any]:
        """The parameters of the channel's connections; `asynchronous` ones tell the event loop when they end."""
        parameters: dict[str, Any] = super()._connparams(asynchronous)
        return parameters

    def finish_reading(self, **options: Any) -> bool:
        """Read the answer to `start_reading` and deliver what it has; raise Empty if that is nothing."""
        return bool(super()._brpop_read(**options))

    def finish_after_error(self, type: str, **options: Any) -> None:  # noqa: A002 - kombu's name
        """Read an answer from a connection on which the event loop has seen an error."""
        super()._poll_error(type, **options)

    def keep_queue(self, queue: str) -> None:
        """Let the time of a queue with an expiry begin anew."""
        with self.conn_or_acquire() as client:
            super()._maybe_update_queues_expire(client, queue)

    # -- what subclasses have to do

    def put_message(self, queue: str, message: dict[str, Any], batch: Any, token: Token) -> None:
        """Put a message on a queue, in kombu's publishing `batch` if that is not None."""
        raise NotImplementedError

    def exists(self, queue: str) -> bool:
        """Whether the server has the queue."""
        raise NotImplementedError

    def give_back(self, message: Any) -> None:
        """Return a delivered message to its queue."""
        raise NotImplementedError

    def start_reading(self) -> None:
        """Send a request for messages on the reading connection."""
        raise NotImplementedError

    # -- kombu's state

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


class HookedQoS(virtual.QoS):
    """kombu's QoS."""

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
