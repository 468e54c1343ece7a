"""Celery's remote control with our error; a module of its own, because few processes send a command to workers."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from celery.app.control import Control
from kombu import Producer
from kombu.pidbox import Mailbox

from gristmill.broker.kombu_internals import loop_of_this_thread
from gristmill.tasks.server_errors import one_line


class OneTry(Producer):
    """Publishes once: to try again, kombu closes all channels of the connection."""

    def publish(self, *args: Any, **kwargs: Any) -> Any:
        """Put a message; raises what the channel raises."""
        return super().publish(*args, **{**kwargs, "retry": False})


class OwnMailbox(Mailbox):
    """Celery's mailbox, by which a worker answers over the connection that it reads, without a second one of a pool.

    If an answer fails, Celery's worker logs that, and reads over another channel.
    """

    @contextmanager
    def producer_or_acquire(self, producer: Any = None, channel: Any = None) -> Iterator[Any]:
        """What sends a message: where an event loop reads `channel`, it does."""
        if producer is None and loop_of_this_thread():
            yield OneTry(channel, auto_declare=False)
        else:
            with super().producer_or_acquire(producer, channel) as pooled:
                yield pooled


class RemoteControl(Control):
    """Celery's remote control; it raises ServerError when the server cannot be reached."""

    Mailbox = OwnMailbox

    def broadcast(self, *args: Any, **kwargs: Any) -> Any:
        """Send a command to workers; `inspect`, `revoke` and all others end here."""
        with one_line():
            if not kwargs.get("reply") or kwargs.get("connection") or kwargs.get("channel"):
                return super().broadcast(*args, **kwargs)
            # Waiting takes a second. Celery's pool would keep three connections for each thread that has waited.
            with self.app.connection_for_write() as connection:
                return super().broadcast(*args, **{**kwargs, "connection": connection})
