"""The envelope of a list of calls: what Celery would put for one of them, with places for what is each call's own."""

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
from gristmill.broker.messages import encoded

#: Types that Celery shows as `repr` does.
_PLAIN = frozenset({int, float, bool, type(None)})
_PUBLISHING = (signals.before_task_publish, signals.after_task_publish, signals.task_sent)
_encode = json.JSONEncoder(separators=(",", ":")).encode


class Envelope:
    """What is equal in the messages of a list of calls, and how the rest is filled in.

    Attributes:
        queue: the queue that the calls go to.
        level: their priority.
    """

    def __init__(self, task: Task, channel: Channel, message: dict[str, Any]) -> None:
        self.queue: str = message["properties"]["delivery_info"]["routing_key"]
        self.level = channel._get_message_priority(message, reverse=False)
        self._most, self._levels = task.app.amqp.argsrepr_maxsize, task.app.conf.task_repr_maxlevels
        self._rest = _encode(json.loads(message["body"])[1:])[1:]
        name = message["headers"]["id"]
        body, shown = f"{name}-body", f"{name}-shown"
        form = encoded({**message, "headers": {**message["headers"], "argsrepr": shown}, "body": body})
        form = form.replace("%", "%%").replace(f'"{body}"', "%(body)s").replace(f'"{shown}"', "%(shown)s")
        self._form = form.replace(name, "%(id)s")

    @classmethod
    def of(cls, task: Task, arguments: Sequence[Any], options: dict[str, Any], producer: Producer) -> Self | None:
        """The envelope of calls like this one; None where their messages are not alike, or not of this transport."""
        if not isinstance(producer.channel, Channel) or not _alike(task):
            return None
        captor = _Captor(producer.connection, auto_declare=False)
        task.apply_async(arguments, producer=captor, add_to_parent=False, **options)
        message, headers = captor.message, captor.message["headers"]
        plain = message["content-type"] == "application/json" and not captor.to_exchange
        if not plain or "id" not in headers or "compression" in headers or headers["eta"]:
            return None
        expires = message["properties"]["delivery_info"]["routing_key"] in producer.channel._expires
        return None if expires else cls(task, producer.channel, message)

    def filled(self, arguments: Sequence[Any]) -> tuple[str, str]:
        """A new call's id and its message.

        Raises:
            kombu.exceptions.EncodeError: JSON cannot say the arguments.
        """
        try:
            said = _encode(arguments)
        except TypeError:
            said = _said_by_celery(arguments)
        if all(type(argument) in _PLAIN for argument in arguments):
            shown = repr(tuple(arguments))
        else:
            shown = saferepr(arguments, self._most, maxlevels=self._levels)
        name = uuid()
        return name, self._form % {"id": name, "body": _encode(f"[{said},{self._rest}"), "shown": _encode(shown)}


class _Captor(Producer):
    """A producer that declares the queue, and keeps the message instead of putting it."""

    message: dict[str, Any]
    to_exchange: str

    def _publish(self, body: Any, priority: int, content_type: str, encoding: str, *rest: Any, **_: Any) -> None:
        headers, properties, routing_key, _mandatory, _immediate, self.to_exchange, declare, *_more = rest
        self.message = self.channel.prepare_message(body, priority, content_type, encoding, headers, properties)
        for entity in declare or ():
            self.maybe_declare(entity)
        self.channel._inplace_augment_message(self.message, self.to_exchange, routing_key)


def _alike(task: Task) -> bool:
    """Whether calls can differ in nothing but their arguments, and nobody is to be told of each."""
    app = task.app
    return not (
        app.conf.task_always_eager
        or app.conf.task_send_sent_event
        or any(signal.receivers for signal in _PUBLISHING)
        or any(not isinstance(route, MapRoute) for route in app.amqp.router.routes)
        or any(getattr(task, name).__func__ is not getattr(Task, name) for name in ("apply_async", "shadow_name"))
        or task._dump_pydantic_arguments is not None
    )


def _said_by_celery(arguments: Sequence[Any]) -> str:
    """In JSON as Celery writes it: with dates, decimals, UUIDs…"""
    try:
        return str(dumps(arguments))
    except Exception as error:
        raise EncodeError(error) from error
