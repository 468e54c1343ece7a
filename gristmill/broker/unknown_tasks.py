"""Messages whose task no live worker knows: workers hand them back until one does, or until they are dead letters."""

from collections.abc import Iterable
from itertools import islice
from typing import NamedTuple, cast

from redis import Redis
from redis.exceptions import NoPermissionError

from gristmill.config.names import unglobbed
from gristmill.config.settings import Settings
from gristmill.server.scripts import server_time

#: Messages of one queue that are counted, at most.
COUNT_MOST = 10_000


class UnknownTask(NamedTuple):
    """A task that workers on `queue` do not know; `what` waits: `messages` of plain Celery, or `items` of batches.

    The oldest of `number` has waited for `seconds`.
    """

    queue: str
    task: str
    what: str
    number: int
    seconds: float


def unknown_tasks(client: Redis, settings: Settings) -> list[UnknownTask]:
    """The tasks that workers refused and that no live worker on their queue knows, by queue and name.

    Where the server's rights forbid to look, there is nothing to tell.

    Args:
        client: a client that decodes answers.
        settings: the key prefix and the lease.

    Raises:
        RedisError: the server cannot be reached, or refuses.
    """
    start = settings.key("unknown_tasks:")
    try:
        now = server_time(client, settings.prefix)
        keys = sorted(client.scan_iter(f"{unglobbed(start)}*", count=1000, _type="hash"))
        return [task for key in keys for task in _on_queue(client, settings, key.removeprefix(start), now)]
    except NoPermissionError:
        return []


def _on_queue(client: Redis, settings: Settings, queue: str, now: float) -> Iterable[UnknownTask]:
    tasks = _tasks_of_consumers(client, settings, queue, now)
    waits: dict[str, list[float]] = {}
    for _, note in islice(client.hscan_iter(settings.key(f"unknown_tasks:{queue}"), count=1000), COUNT_MOST):
        since, _, task = note.partition(" ")
        if task not in tasks:
            waits.setdefault(task, []).append(now - int(since) / 1000)
    return [UnknownTask(queue, task, "messages", len(seconds), max(seconds)) for task, seconds in sorted(waits.items())]


def _tasks_of_consumers(client: Redis, settings: Settings, queue: str, now: float) -> set[str]:
    """The tasks that the live consumers of a queue know."""
    oldest = int((now - settings.lease_seconds) * 1000)
    consumers = cast(list[str], client.zrangebyscore(settings.key(f"lease:{queue}"), oldest, "+inf"))
    texts = cast(list[str | None], client.hmget(settings.key("tasks_of"), consumers)) if consumers else []
    return {task for text in texts if text for task in text.split("\n")}
