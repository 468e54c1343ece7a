"""A Celery task whose plain calls, `.delay()` with positional arguments, have their message made from an envelope."""

import threading
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from celery import Task
from kombu import Producer

if TYPE_CHECKING:
    from gristmill.broker.envelope import Envelope
    from gristmill.broker.senders import Token


class _Envelopes(threading.local):
    """The envelopes of this thread, by task: each message names the thread that has put it, for replies."""

    def __init__(self) -> None:
        self.by_task: dict[Task, tuple[Any, bool, Envelope | None]] = {}


_of_thread = _Envelopes()


class QuickTask(Task):
    """Puts the messages that Celery puts. What differs from call to call in other ways than arguments is Celery's."""

    abstract = True

    def apply_async(self, args: Any = None, kwargs: Any = None, *others: Any, **options: Any) -> Any:
        """As Celery's."""
        if not (kwargs or others or options) and type(args) is tuple:
            result = self.put_quickly(args)
            if result is not None:
                return result
        return super().apply_async(args, kwargs, *others, **options)

    def put_quickly(self, arguments: Sequence[Any]) -> Any:
        """Put a call, and return its result; None, and nothing is put, if its message is not like those of others."""
        # Imported here, because most commands have tasks and put no message.
        from gristmill.broker.enqueue import publish
        from gristmill.broker.envelope import alike

        app = self.app
        if app.current_worker_task is not None or not alike(self):
            return None
        if self.typing and (header := getattr(self, "__header__", None)):
            header(*arguments)
        with app.producer_pool.acquire(block=True) as producer:
            envelope = self._envelope(arguments, producer)
            if envelope is None or not envelope.suits(producer.channel):
                return None
            identity, text = envelope.fill(arguments)

            def put(token: "Token") -> None:
                producer.channel.put_texts(envelope.queue, envelope.level, [text], token)

            listen = None if self.ignore_result else lambda: self.backend.on_task_call(producer, identity)
            publish(self, producer, {}, put, listen)
        result = self.AsyncResult(identity)
        result.ignored = self.ignore_result
        return result

    def _envelope(self, arguments: Sequence[Any], producer: Producer) -> "Envelope | None":
        from gristmill.broker.envelope import Envelope

        amqp, ignores = self.app.amqp, bool(self.ignore_result)
        entry = _of_thread.by_task.get(self)
        # Celery reads its configuration of messages once, and keeps what it has read in this object.
        if entry is None or entry[0] is not amqp or entry[1] != ignores:
            envelope = Envelope.of(self, arguments, {}, producer)
            if envelope is not None and envelope.expires:
                envelope = None
            entry = _of_thread.by_task[self] = amqp, ignores, envelope
        return entry[2]
