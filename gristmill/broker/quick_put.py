"""Puts the message of a task's plain call, made from an envelope that the task's calls of a thread share."""

import os
import threading
from collections.abc import Sequence
from typing import Any

from celery import Task
from kombu import Producer

from gristmill.broker.enqueue import publish
from gristmill.broker.envelope import Envelope, alike
from gristmill.broker.senders import Token


class _Envelopes(threading.local):
    """The envelopes of this thread, by task: each message names the thread that has put it, for replies."""

    def __init__(self) -> None:
        #: Each with Celery's AMQP object, whether results are ignored and the process, which it was made for.
        self.by_task: dict[Task, tuple[Any, bool, int, Envelope | None]] = {}


_of_thread = _Envelopes()


def put_quickly(task: Task, arguments: Sequence[Any]) -> Any:
    """Put a call, and return its result; None, and nothing is put, if its message is not like those of others."""
    app = task.app
    if app.current_worker_task is not None or not alike(task):
        return None
    if task.typing and (header := getattr(task, "__header__", None)):
        header(*arguments)
    with app.producer_pool.acquire(block=True) as producer:
        envelope = _envelope(task, arguments, producer)
        if envelope is None or not envelope.suits(producer.channel):
            return None
        identity, text = envelope.fill(arguments)

        def put(token: Token) -> None:
            producer.channel.put_texts(envelope.queue, envelope.level, [text], token)

        listen = None if task.ignore_result else lambda: task.backend.on_task_call(producer, identity)
        publish(task, producer, {}, put, listen)
    result = task.AsyncResult(identity)
    result.ignored = task.ignore_result
    return result


def _envelope(task: Task, arguments: Sequence[Any], producer: Producer) -> Envelope | None:
    # Celery reads its configuration of messages once, and keeps what it has read in this object.
    made_for = task.app.amqp, bool(task.ignore_result), os.getpid()
    entry = _of_thread.by_task.get(task)
    if entry is None or entry[:3] != made_for:
        envelope = Envelope.of(task, arguments, {}, producer)
        if envelope is not None and envelope.expires:
            envelope = None
        entry = _of_thread.by_task[task] = *made_for, envelope
    return entry[3]
