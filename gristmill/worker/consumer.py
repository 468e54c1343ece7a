"""Celery's consumer, with nothing discarded: what it cannot read is kept, what it does not know goes elsewhere."""

from collections.abc import Callable
from functools import partial
from typing import Any

from celery import Task
from celery.concurrency import thread
from celery.exceptions import InvalidTaskError
from celery.utils.log import get_logger
from celery.worker import consumer, state
from celery.worker.request import Request
from kombu.exceptions import ContentDisallowed, DecodeError
from redis.exceptions import RedisError

from gristmill.broker import leases, revokes
from gristmill.config.settings import settings
from gristmill.worker import quarantined_task  # noqa: F401 - registers its task before the pool forks
from gristmill.worker.wellformed import check

REQUEST, CELERYS_REQUEST = "gristmill.worker.request:Request", Task.Request

logger = get_logger(__name__)


class Consumer(consumer.Consumer):
    """Hands unknown tasks back with a delay, keeps what is malformed, and says what it has given to its pool."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        leases.running = partial(given_to_pool, self.pool)

    def on_close(self) -> None:
        """Have the pool remember what its processes have: Celery forgets what has not been seen to begin by now.

        They run it all the same, and nobody would acknowledge it.
        """
        pool = getattr(self.pool, "_pool", None)
        given = [job for job in list(getattr(pool, "_cache", {}).values()) if job._write_to and not job._accepted]
        for job in given:
            job._accepted = True
        super().on_close()
        for job in given:
            job._accepted = job._time_accepted is not None

    def create_task_handler(self, *args: Any, **kwargs: Any) -> Callable[[Any], None]:
        """Celery's, which no message can make raise before it is given to the pool."""
        handle = super().create_task_handler(*args, **kwargs)

        def on_task_received(message: Any) -> None:
            try:
                check(message, self.strategies)
                handle(message)
            except (RedisError, OSError):
                raise
            except Exception as exc:
                if any(request.message is message for request in state.reserved_requests):
                    raise
                self.on_invalid_task(None, message, exc)

        return on_task_received

    def update_strategies(self) -> None:
        """Have tasks make requests of our class, unless they have one of their own."""
        for task in self.app.tasks.values():
            if task.Request == CELERYS_REQUEST:
                task.Request = REQUEST
        super().update_strategies()

    def on_ready(self) -> None:
        """Learn what was revoked while this worker did not listen."""
        state.revoked.update(revokes.remembered(self.connection.default_channel.scripts))
        super().on_ready()

    def on_unknown_task(self, body: Any, message: Any, exc: Exception) -> None:  # noqa: ARG002
        """Another worker may know the task: the message is not this one's to discard."""
        logger.error("handed back: this worker knows no task %s", exc)
        message.channel.qos.postpone(message.delivery_tag, settings().unknown_task_seconds)

    def on_unknown_message(self, body: Any, message: Any) -> None:  # noqa: ARG002
        """Keep what is no task as a dead letter."""
        _bury(message, "no Celery task: neither its headers nor its body name one")

    def on_invalid_task(self, body: Any, message: Any, exc: Exception) -> None:  # noqa: ARG002
        """Keep a task that cannot be understood as a dead letter."""
        _bury(message, f"invalid: {_why(exc)}")

    def on_decode_error(self, message: Any, exc: Exception) -> None:
        """Keep a body that cannot be decoded as a dead letter."""
        _bury(message, f"cannot be decoded: {_why(exc)}")


def _why(exc: Exception) -> str:
    return str(exc) if isinstance(exc, InvalidTaskError | ContentDisallowed | DecodeError) else repr(exc)


def _bury(message: Any, reason: str) -> None:
    message.channel.qos.bury(message.delivery_tag, reason)


def given_to_pool(pool: Any) -> set[str]:
    """Tags of the messages whose work cannot be taken back: a pool has them, and will acknowledge them."""
    return {
        request.message.delivery_tag
        for request in {*state.reserved_requests, *state.active_requests}
        if request in state.active_requests or _is_given(request, pool)
    }


def _is_given(request: Request, pool: Any) -> bool:
    if request._apply_result is None:
        return False
    if isinstance(pool, thread.TaskPool):
        # Nobody keeps what it answers. It runs all that it was given, but for what it drops when it is stopped.
        return bool(pool.active)
    result = request._apply_result()
    # A pool process that is being written to, or was, reads it whatever happens.
    return bool(getattr(result, "_write_to", None) or getattr(result, "_scheduled_for", None))
