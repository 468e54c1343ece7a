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
#: The modules whose `apply_async` makes Celery's messages.
_PUT_AS_CELERY = ("celery.app.task", "gristmill.broker.quick_task")
_encode = json.JSONEncoder(separators=(",", ":")).encode


class Envelope:
    """The part that the messages of a list of calls have in common, and how to fill in the rest.

    Attributes:
        queue: the name of the calls' queue.
        level: the calls' priority, 0 to 9.
        expires: whether the calls expire, all at the same time.
    """

    def __init__(self, task: Task, message: dict[str, Any]) -> None:
        self.queue: str = message["properties"]["delivery_info"]["routing_key"]
        self.level = level_of(message)
        self.expires = bool(message["headers"]["expires"])
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
        if not isinstance(producer.channel, Channel) or not alike(task):
            return None
        with producer.channel.captured() as messages:
            task.apply_async(arguments, producer=producer, add_to_parent=False, **options)
        if len(messages) != 1:
            return None
        message, headers = messages[0], messages[0]["headers"]
        plain = message["content-type"] == "application/json" and not message["properties"]["delivery_info"]["exchange"]
        if not plain or "id" not in headers or "compression" in headers or headers["eta"]:
            return None
        envelope = cls(task, message)
        return envelope if envelope.suits(producer.channel) else None

    def suits(self, channel: Any) -> bool:
        """Whether a channel puts the messages on their queue as they are."""
        return isinstance(channel, Channel) and not (self.queue in channel.expiries or channel.is_list(self.queue))

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


def alike(task: Task) -> bool:
    """Whether calls can differ in nothing but their arguments, and nobody listens to each publication."""
    app = task.app
    return not (
        app.conf.task_always_eager
        or app.conf.task_send_sent_event
        or any(signal.receivers for signal in _PUBLISHING)
        or not all(_by_task(route) for route in app.amqp.router.routes)
        or not all(_is_plain(function) for function in (task.apply_async.__func__, Task.apply_async))
        or task.shadow_name.__func__ is not Task.shadow_name
        or dumps_models(task)
    )


def _is_plain(function: Any) -> bool:
    """Whether this is an `apply_async` that makes Celery's messages, and nobody has wrapped it, as tracers do."""
    return function.__module__ in _PUT_AS_CELERY and not hasattr(function, "__wrapped__")


def _by_task(route: Any) -> bool:
    """Whether a route depends on nothing but the task."""
    if isinstance(route, MapRoute):
        return True
    # The name of a router that Celery has not loaded yet.
    router = route.evaluate() if hasattr(route, "evaluate") else route
    return bool(getattr(router, "is_by_task", False))


def _encode_with_celery(arguments: Sequence[Any]) -> str:
    """The arguments in Celery's JSON, which has dates, decimals, UUIDs and more."""
    try:
        return str(dumps(arguments))
    except Exception as error:
        raise EncodeError(error) from error
