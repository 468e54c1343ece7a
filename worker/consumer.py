"""Celery's consumer, with nothing discarded: what it cannot read is kept, what it does not know goes elsewhere."""

from functools import partial
from typing import Any

from celery.concurrency import thread
from celery.utils.log import get_logger
from celery.worker import consumer, state
from celery.worker.request import Request

from broker import leases
from worker import alone  # noqa: F401 - registers its task before the pool forks

logger = get_logger(__name__)

#: Seconds that a message of an unknown task waits before the next worker looks at it.
UNKNOWN_SECONDS = 5.0


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

    def on_unknown_task(self, body: Any, message: Any, exc: Exception) -> None:  # noqa: ARG002
        """Another worker may know the task: the message is not this one's to discard."""
        logger.error("handed back: this worker knows no task %s", exc)
        message.channel.qos.postpone(message.delivery_tag, UNKNOWN_SECONDS)

    def on_unknown_message(self, body: Any, message: Any) -> None:
        """Keep what is no task as a dead letter."""
        self._bury(message, "no Celery task", self._message_report(body, message))

    def on_invalid_task(self, body: Any, message: Any, exc: Exception) -> None:  # noqa: ARG002
        """Keep a task that cannot be understood as a dead letter."""
        self._bury(message, f"invalid: {exc}", exc)

    def on_decode_error(self, message: Any, exc: Exception) -> None:
        """Keep a body that cannot be decoded as a dead letter."""
        self._bury(message, f"cannot be decoded: {exc}", exc)

    def _bury(self, message: Any, reason: str, report: Any) -> None:
        logger.error("kept as a dead letter: %s", report)
        message.channel.qos.bury(message.delivery_tag, reason[:200])


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
