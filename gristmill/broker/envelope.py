"""The envelope of a list of calls: the message that Celery makes for one call, with places for what differs."""

import json
from collections.abc import Sequence
from typing import Any, Self

from celery import Task, signals
from celery.app.routes import MapRoute
from celery.utils.saferepr import saferepr
from kombu import Producer
from kombu.exceptions import EncodeError
from kombu.utils.json import dumps
from kombu.utils.uuid import uuid

from gristmill.broker.channel import Channel
from gristmill.broker.kombu_internals import dumps_models
from gristmill.broker.messages import encoded, level_of

#: Types whose arguments Celery shows as `repr` does.
_PLAIN = frozenset({int, float, bool, type(None)})
_PUBLISHING = (signals.before_task_publish, signals.after_task_publish, signals.task_sent)
_encode = json.JSONEncoder(separators=(",", ":")).encode


class Envelope:
    """The part that the messages of a list of calls have in common, and how to fill in the rest.

    Attributes:
        queue: the name of the calls' queue.
        level: the calls' priority, 0 to 9.
    """

    def __init__(self, task: Task, message: dict[str, Any]) -> None:
        self.queue: str = message["properties"]["delivery_info"]["routing_key"]
        self.level = level_of(message)
        self._most, self._levels = task.app.amqp.argsrepr_maxsize, task.app.conf.task_repr_maxlevels
        self._rest = _encode(json.loads(message["body"])[1:])[1:]
        identity = message["headers"]["id"]
        body, argsrepr = f"{identity}-body", f"{identity}-argsrepr"
        form = encoded({**message, "headers": {**message["headers"], "argsrepr": argsrepr}, "body": body})
        form = form.replace("%", "%%").replace(f'"{body}"', "%(body)s").replace(f'"{argsrepr}"', "%(argsrepr)s")
        self._form = form.replace(identity, "%(id)s")

    @classmethod
    def of(cls, task: Task, arguments: Sequence[Any], options: dict[str, Any], producer: Producer) -> Self | None:
        """The envelope of calls like this one; None if their messages can differ, or go over another transport."""
        if not isinstance(producer.channel, Channel) or not _alike(task):
            return None
        with producer.channel.captured() as messages:
            task.apply_async(arguments, producer=producer, add_to_parent=False, **options)
        if len(messages) != 1:
            return None
        message, headers = messages[0], messages[0]["headers"]
        plain = message["content-type"] == "application/json" and not message["properties"]["delivery_info"]["exchange"]
        if not plain or "id" not in headers or "compression" in headers or headers["eta"]:
            return None
        queue = message["properties"]["delivery_info"]["routing_key"]
        special = queue in producer.channel.expiries or producer.channel.is_list(queue)
        return None if special else cls(task, message)

    def fill(self, arguments: Sequence[Any]) -> tuple[str, str]:
        """The id and the message of a new call.

        Raises:
            kombu.exceptions.EncodeError: JSON cannot express the arguments.
        """
        try:
            text = _encode(arguments)
        except TypeError:
            text = _encode_with_celery(arguments)
        if all(type(argument) in _PLAIN for argument in arguments):
            argsrepr = repr(tuple(arguments))
        else:
            argsrepr = saferepr(arguments, self._most, maxlevels=self._levels)
        identity, body = uuid(), _encode(f"[{text},{self._rest}")
        return identity, self._form % {"id": identity, "body": body, "argsrepr": _encode(argsrepr)}


def _alike(task: Task) -> bool:
    """Whether calls can differ in nothing but their arguments, and nobody listens to each publication."""
    app = task.app
    return not (
        app.conf.task_always_eager
        or app.conf.task_send_sent_event
        or any(signal.receivers for signal in _PUBLISHING)
        or any(not isinstance(route, MapRoute) for route in app.amqp.router.routes)
        or any(getattr(task, name).__func__ is not getattr(Task, name) for name in ("apply_async", "shadow_name"))
        or dumps_models(task)
    )


def _encode_with_celery(arguments: Sequence[Any]) -> str:
    """The arguments in Celery's JSON, which has dates, decimals, UUIDs and more."""
    try:
        return str(dumps(arguments))
    except Exception as error:
        raise EncodeError(error) from error
