"""Putting a list of calls of one task: the envelope that Celery makes for each call is made once, and filled in."""

from collections.abc import Iterable, Sequence
from itertools import islice
from typing import Any

from celery import Task
from kombu import Producer
from kombu.utils.uuid import uuid

from gristmill.broker.envelope import Envelope

#: Calls that are put together: they share a write to the disk. A server is busy with a lot for some 3 ms.
LOT = 1_000
#: Milliseconds for which the server knows that a lot was put.
KNOWN_MS = 600_000


def enqueue_many(task: Task, arguments: Iterable[Sequence[Any]], **options: Any) -> list[str]:
    """Put one call of `task` for each of `arguments`; return the calls' ids, in order.

    Workers get what they get of `apply_async`. Calls are put in lots of LOT: each lot whole or not at all, and once,
    also when it is sent again because its answer was lost. Where calls can differ in more than their arguments,
    `apply_async` puts each, 500 in one round trip: with receivers of the signals of publishing, events of sent
    tasks, routes that are functions, a delay, another serializer than JSON, another transport.

    Args:
        task: a task of a Celery app.
        arguments: the positional arguments of each call; read as needed.
        options: as `apply_async` takes them, the same for all calls: `kwargs`, `queue`, `priority`, `expires`…

    Raises:
        TypeError: arguments that the task does not take, or an option that belongs to one call.
        kombu.exceptions.EncodeError: arguments that JSON cannot say.
        kombu.exceptions.OperationalError: the server is away, or refuses.

    A note on the error says how many calls are on the queue for certain.
    """
    for name in ("args", "task_id", "producer", "connection"):
        if name in options:
            raise TypeError(f"{name}: not an option of a list of calls")
    ids: list[str] = []
    calls, envelope = iter(arguments), None
    with task.app.producer_pool.acquire(block=True) as producer:
        try:
            while lot := list(islice(calls, LOT)):
                if not ids:
                    envelope = Envelope.of(task, lot[0], options, producer)
                if envelope:
                    ids += _put_lot(task, envelope, lot, options, producer)
                else:
                    ids += _put_each(task, lot, options, producer)
        except Exception as error:
            error.add_note(f"{len(ids):,} calls are on the queue, in front of the lot of {LOT:,} that failed")
            raise
    return ids


def _put_lot(
    task: Task, envelope: Envelope, lot: list[Sequence[Any]], options: dict[str, Any], producer: Producer
) -> list[str]:
    if task.typing and (header := getattr(task, "__header__", None)):
        for arguments in lot:
            header(*arguments, **(options.get("kwargs") or {}))
    filled = [envelope.filled(arguments) for arguments in lot]
    messages, token, conf = [message for _, message in filled], uuid(), task.app.conf

    def put() -> None:
        producer.channel.scripts.call("put", envelope.queue, envelope.level, token, KNOWN_MS, *messages)

    if options.get("retry", conf.task_publish_retry):
        policy = {**conf.task_publish_retry_policy, **(options.get("retry_policy") or {})}
        put = producer.connection.ensure(producer, put, **policy)
    with producer.connection._reraise_as_library_errors():
        put()
    return [name for name, _ in filled]


def _put_each(task: Task, lot: list[Sequence[Any]], options: dict[str, Any], producer: Producer) -> list[str]:
    with producer.batch(500):
        return [task.apply_async(arguments, producer=producer, **options).id for arguments in lot]
