"""Putting a list of calls of one task: the envelope that Celery makes for each call is made once and filled in."""

from collections.abc import Callable, Iterable, Sequence
from itertools import islice
from typing import Any

from celery import Task
from kombu import Producer
from kombu.exceptions import OperationalError

from gristmill.broker.envelope import Envelope
from gristmill.broker.senders import Token, token_of

#: Calls of one lot, which share a write to the disk. A lot occupies the server for some 3 ms.
LOT = 1_000


def enqueue_many(task: Task, arguments: Iterable[Sequence[Any]], **options: Any) -> list[str]:
    """Put one call of `task` for each of `arguments`; return the calls' ids, in order.

    Workers get the same messages as from `apply_async`. Calls travel in lots of LOT: the server puts a lot whole or
    not at all, and once, even if it is sent again because its answer was lost. Where calls can differ in more than
    their arguments, `apply_async` puts each, 500 in one round trip: with receivers of the signals of publishing,
    events of sent tasks, routes that are functions, a delay, another serializer than JSON, another transport.

    Args:
        task: a task of a Celery app.
        arguments: the positional arguments of each call; an iterator is read lot by lot.
        options: as `apply_async` takes them, the same for all calls: `kwargs`, `queue`, `priority`, `expires`…

    Raises:
        TypeError: the task does not take the arguments, or an option belongs to a single call.
        kombu.exceptions.EncodeError: JSON cannot express the arguments.
        kombu.exceptions.OperationalError: the server cannot be reached, or refuses.
        ServerError: too few replicas have confirmed a lot in time (GRISTMILL_CONFIRM_REPLICAS).

    The error has a note with the number of calls that are on the queue for certain.
    """
    for name in ("args", "task_id", "producer", "connection"):
        if name in options:
            raise TypeError(f"invalid option: {name!r} (expected an option that a list of calls can share)")
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
            error.add_note(f"{len(ids):,} calls are on the queue; the lot of up to {LOT:,} calls after them failed")
            if isinstance(error, OperationalError):
                # Its line says it all, and a chain of tracebacks helps nobody.
                raise error from None
            raise
    return ids


def _put_lot(
    task: Task, envelope: Envelope, lot: list[Sequence[Any]], options: dict[str, Any], producer: Producer
) -> list[str]:
    if task.typing and (header := getattr(task, "__header__", None)):
        for arguments in lot:
            header(*arguments, **(options.get("kwargs") or {}))
    calls = [envelope.fill(arguments) for arguments in lot]
    messages = [message for _, message in calls]

    def put(token: Token) -> None:
        producer.channel.put_texts(envelope.queue, envelope.level, messages, token)

    publish(task, producer, options, put)
    return [identity for identity, _ in calls]


def publish(
    task: Task,
    producer: Producer,
    options: dict[str, Any],
    put: Callable[[Token], None],
    listen: Callable[[], None] | None = None,
) -> None:
    """Call `put` with its token, again as often as Celery would, after `listen`, which waits for the result.

    Raises:
        OperationalError: the server cannot be reached, or refuses.
        ServerError: too few replicas have confirmed it in time.
    """
    conf = task.app.conf
    if options.get("retry", conf.task_publish_retry):
        policy = {**conf.task_publish_retry_policy, **(options.get("retry_policy") or {})}
        put = producer.connection.ensure(producer, put, **policy)
    try:
        if listen:
            listen()
        with token_of({}) as token:
            put(token)
    except (
        *producer.connection.recoverable_connection_errors,
        *producer.connection.recoverable_channel_errors,
    ) as error:
        raise OperationalError(str(error)) from error


def _put_each(task: Task, lot: list[Sequence[Any]], options: dict[str, Any], producer: Producer) -> list[str]:
    with producer.batch(500):
        return [task.apply_async(arguments, producer=producer, **options).id for arguments in lot]
