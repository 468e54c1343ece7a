"""Celery's consumer, with nothing discarded: what it cannot read is kept, what it does not know goes elsewhere."""

from collections.abc import Callable
from typing import Any

from celery.utils.log import get_logger
from celery.worker import consumer, state
from celery.worker.request import Request

from broker import leases
from broker.reads import MALFORMED
from worker import alone  # noqa: F401 - registers its task before the pool forks

logger = get_logger(__name__)

#: Seconds that a message of an unknown task waits before the next worker looks at it.
UNKNOWN_SECONDS = 5.0


class Consumer(consumer.Consumer):
    """Hands unknown tasks back with a delay, keeps what is malformed, and says what it has given to its pool."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        leases.running = given_to_pool

    def create_task_handler(self, *args: Any, **kwargs: Any) -> Callable[[Any], Any]:
        """What is done with a message; one that Celery cannot make a task of is kept as a dead letter."""
        handle = super().create_task_handler(*args, **kwargs)

        def on_task_received(message: Any) -> Any:
            try:
                return handle(message)
            except MALFORMED as error:
                # Before anything of it runs: Celery would end the worker, and the next one that takes it.
                return self.on_invalid_task(None, message, error)

        return on_task_received

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


def given_to_pool() -> set[str]:
    """Tags of the messages whose work cannot be taken back: a pool has them, and will acknowledge them."""
    return {
        request.message.delivery_tag
        for request in {*state.reserved_requests, *state.active_requests}
        if request in state.active_requests or _is_given(request)
    }


def _is_given(request: Request) -> bool:
    result = request._apply_result() if request._apply_result is not None else None
    if result is None:
        return False
    future = getattr(result, "f", None)
    if future is not None:
        return not future.cancelled()
    # A pool process that is being written to, or was, reads it whatever happens.
    return bool(getattr(result, "_write_to", None) or getattr(result, "_scheduled_for", None))
