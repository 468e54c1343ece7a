"""A message before it is on a queue: its text, its time, and the error of a connection that breaks meanwhile."""

import json
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from math import ceil
from typing import Any

from kombu.utils.json import dumps
from redis.exceptions import ConnectionError as RedisConnectionError
from redis.exceptions import TimeoutError as RedisTimeoutError

from gristmill.broker.senders import Token

#: How long before its `eta` a message goes to a worker, whose slot waits for the rest: on the way, a timer, the server
#: and an event loop wake up one after the other, which takes up to 10 ms each on an idle virtual machine.
AHEAD_SECONDS = 0.05


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
    except (TypeError, ValueError, OverflowError, KeyError):
        return 0


def put_of(queue: str, level: int, texts: list[str], token: Token, wait: float) -> dict[str, Any]:
    """The arguments of `put.lua`."""
    return {
        "queue": queue,
        "level": level,
        "wait": ceil(wait * 1000),
        "sender": token.sender,
        "number": token.number,
        "messages": texts,
    }


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


def seconds_on_server(message: dict[str, Any]) -> float:
    """The seconds for which the message of a Celery task waits on the server: until AHEAD_SECONDS before its `eta`.

    To others than Celery a header `eta` means something else, or nothing: 0.
    """
    headers = message.get("headers")
    if not isinstance(headers, dict) or headers.get("eta") is None or not isinstance(headers.get("task"), str):
        return 0.0
    return max(0.0, _seconds_until(headers["eta"]) - AHEAD_SECONDS)


def wait_out(eta: Any) -> None:
    """Wait for the rest of the time that a message has spent on the server: AHEAD_SECONDS at most, if clocks differ."""
    if (seconds := _seconds_until(eta)) > 0:
        time.sleep(min(seconds, AHEAD_SECONDS))


def _seconds_until(eta: Any) -> float:
    due = _due(eta)
    return (due - datetime.now(UTC)).total_seconds() if due else 0.0


def _due(eta: Any) -> datetime | None:
    """The time that a header `eta` means to Celery; None if it means none."""
    if isinstance(eta, str):
        try:
            eta = datetime.fromisoformat(eta)
        except ValueError:
            return None
    if not isinstance(eta, datetime):
        return None
    return eta if eta.tzinfo else eta.replace(tzinfo=UTC)


def mark_redelivered(message: dict[str, Any]) -> None:
    """Note in a message that somebody has had it before, where stock kombu does."""
    properties, headers = message["properties"], message.get("headers") or {}
    properties["delivery_info"] = {**(properties.get("delivery_info") or {}), "redelivered": True}
    # Celery reads the line above; in a task's request, this one would be a header of the task's sender.
    if "task" not in headers:
        message["headers"] = {**headers, "redelivered": True}
