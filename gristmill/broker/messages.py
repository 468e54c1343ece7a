"""A message on its way to a queue: its text, the time it waits for, and what is known when putting it breaks off."""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from typing import Any

from kombu.utils.json import dumps
from redis.exceptions import ConnectionError as RedisConnectionError
from redis.exceptions import TimeoutError as RedisTimeoutError


def encoded(message: dict[str, Any]) -> str:
    """A message as an entry carries it."""
    try:
        return json.dumps(message, separators=(",", ":"))
    except TypeError:
        return str(dumps(message))


@contextmanager
def uncertain() -> Iterator[None]:
    """Say, of a connection that breaks while a message is put, that nobody knows whether it was."""
    try:
        yield
    except (RedisConnectionError, RedisTimeoutError) as error:
        # Kinds of them, such as a refused login, are the server's answer that it was not.
        if type(error) not in (RedisConnectionError, RedisTimeoutError):
            raise
        reason = str(error).rstrip(".")
        raise type(error)(f"{reason}; delivery is uncertain: the message may be on the queue, or not") from error


def timed(message: dict[str, Any]) -> tuple[dict[str, Any], float]:
    """The message as it waits in the server for its `eta`, and the seconds until then.

    With an `eta` Celery's worker would hold it, and room for one more: it goes into `gm_eta`. The message that was
    given stays as it is: kombu puts it once more when the connection broke.
    """
    headers = message.get("headers")
    eta = headers.get("eta") if isinstance(headers, dict) else None
    if not headers or not eta:
        return message, 0.0
    due = datetime.fromisoformat(eta) if isinstance(eta, str) else eta
    due = due if due.tzinfo else due.replace(tzinfo=UTC)
    headers = {**headers, "eta": None, "gm_eta": due.isoformat()}
    return {**message, "headers": headers}, float((due - datetime.now(UTC)).total_seconds())
