"""Checks a chunk's message before the pool has it: a message of another version is for another worker."""

from collections.abc import Callable
from typing import Any

from celery.exceptions import InvalidTaskError
from celery.utils.log import get_logger

from gristmill.worker.celery_internals import default_strategy
from gristmill.worker.rare_log import RareLog
from gristmill.worker.slot.chunk_task import MESSAGE_VERSION

#: The arguments of a chunk's message after its version: batch, epoch, first, count.
_FIELDS = (str, int, int, int)

#: Seconds before another worker may take a message of a version that this worker does not know.
HIDDEN_SECONDS = 5.0

version_log = RareLog(get_logger(__name__))


def strategy(task: Any, app: Any, consumer: Any, **kwargs: Any) -> Callable[..., Any]:
    """Answer the handler of a task's messages; Celery calls this once for each task."""
    handle = default_strategy(task, app, consumer, **kwargs)

    def on_message(message: Any, body: Any, *rest: Any) -> Any:
        version, *fields = message.payload[0] or [None]
        if type(version) is not int or version < 1:
            raise InvalidTaskError(f"invalid version of a chunk message: {version!r} (expected an integer from 1)")
        if version != MESSAGE_VERSION:
            version_log.error(
                str(version),
                "handed back a chunk message of version %d: this worker knows version %d",
                version,
                MESSAGE_VERSION,
            )
            return message.channel.qos.postpone(message.delivery_tag, HIDDEN_SECONDS)
        if [type(field) for field in fields[: len(_FIELDS)]] != list(_FIELDS) or message.payload[1]:
            raise InvalidTaskError("invalid chunk message (expected version, batch, epoch, first, count)")
        return handle(message, body, *rest)

    return on_message
