"""A message before it is on a queue: its text, its time, and the error of a connection that breaks meanwhile."""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from typing import Any

from kombu.utils.json import dumps
from redis.exceptions import ConnectionError as RedisConnectionError
from redis.exceptions import TimeoutError as RedisTimeoutError


def encoded(message: dict[str, Any]) -> str:
    """The JSON text that a stream's entry has for a message."""
    try:
        return json.dumps(message, separators=(",", ":"))
    except TypeError:
        return str(dumps(message))


def level_of(message: dict[str, Any]) -> int:
    """The priority of a message, from 0 (first) to 9; 0 without a valid one, as in kombu."""
    try:
        return max(0, min(int(message["properties"]["priority"]), 9))
    except (TypeError, ValueError, KeyError):
        return 0


@contextmanager
def uncertain() -> Iterator[None]:
    """Say in the error of a connection that breaks while it puts a message that the message may have been put."""
    try:
        yield
    except (RedisConnectionError, RedisTimeoutError) as error:
        # Their subclasses, such as a refused login, are an answer of the server: the message was not put.
        if type(error) not in (RedisConnectionError, RedisTimeoutError):
            raise
        reason = str(error).rstrip(".")
        raise type(error)(f"{reason}; delivery is uncertain: the message may or may not be on the queue") from error


def timed(message: dict[str, Any]) -> tuple[dict[str, Any], float]:
    """A copy of the message that waits in the server for its `eta`, and the seconds until then.

    The copy has its time in the header `gm_eta`: a Celery worker would take a message with an `eta` at once and
    hold it. `message` itself does not change, because kombu puts it once more after a broken connection.
    """
    headers = message.get("headers")
    due = _due(headers.get("eta")) if isinstance(headers, dict) else None
    if headers is None or due is None:
        return message, 0.0
    headers = {**headers, "eta": None, "gm_eta": due.isoformat()}
    return {**message, "headers": headers}, float((due - datetime.now(UTC)).total_seconds())


def _due(eta: Any) -> datetime | None:
    """The time that a header `eta` means; None if it means none, as in a message that is not Celery's."""
    if isinstance(eta, str):
        try:
            eta = datetime.fromisoformat(eta)
        except ValueError:
            return None
    if not isinstance(eta, datetime):
        return None
    return eta if eta.tzinfo else eta.replace(tzinfo=UTC)
