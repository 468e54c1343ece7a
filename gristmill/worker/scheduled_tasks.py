"""Celery's `scheduled` and `query_task`, which also tell of the tasks that wait on the server for their time."""

from collections.abc import Iterable, Iterator
from datetime import UTC, datetime
from typing import Any

from celery.worker.control import Panel

from gristmill.broker.reader import decoded
from gristmill.worker.celery_internals import CeleryRequest, control_node

#: Most waiting tasks of a queue in one answer: those that are due first.
MOST = 1_000
#: The priority that Celery's timer gives to every task that waits for its time.
TIMER_PRIORITY = 6


def add_waiting_tasks(consumer: Any) -> None:
    """Have the remote control of one worker tell of the tasks that wait on the server for the worker's queues.

    Each worker of a queue tells of all of them. Other workers in this process keep Celery's commands.
    """
    node = control_node(consumer)
    if node is not None:
        node.handlers = {**node.handlers, "scheduled": scheduled, "dump_schedule": scheduled, "query_task": query_task}


def scheduled(state: Any, **options: Any) -> list[dict[str, Any]]:
    """Celery's list, and after it the tasks that wait on the server, the next one first."""
    waiting = [
        {"eta": eta, "priority": TIMER_PRIORITY, "request": request.info()}
        for eta, request in waiting_tasks(state.consumer)
    ]
    return [*Panel.data["scheduled"](state, **options), *waiting]


def query_task(state: Any, ids: str | Iterable[str], **options: Any) -> dict[str, Any]:
    """Celery's answer: each task's state and request by id; those that wait on the server are `scheduled`."""
    names = {ids} if isinstance(ids, str) else set(ids)
    waiting = {
        request.id: ("scheduled", request.info()) for _, request in waiting_tasks(state.consumer) if request.id in names
    }
    return {**waiting, **Panel.data["query_task"](state, ids, **options)}


def waiting_tasks(consumer: Any) -> Iterator[tuple[str, CeleryRequest]]:
    """The tasks that wait for the consumer's queues, each with the time when it is due, in ISO 8601."""
    channel, tasks = consumer.connection.default_channel, consumer.task_consumer
    for queue in tasks.queues:
        for text, due in _waiting_messages(channel, queue.name):
            try:
                message = channel.Message(decoded(text), channel, accept=tasks.accept)
                request = CeleryRequest(message, app=consumer.app, hostname=consumer.hostname)
            except Exception:  # noqa: S112 - not a task, or one that only other workers know
                continue
            yield (request.eta or datetime.fromtimestamp(due / 1000, UTC)).isoformat(), request


def _waiting_messages(channel: Any, queue: str) -> Iterator[tuple[bytes | str, float]]:
    key = f"{channel.global_keyprefix}gm1:later:{queue}"
    # A digit for the priority stands before the text.
    for member, due in channel.scripts.client.zrange(key, 0, MOST - 1, withscores=True):
        yield member[1:], due
