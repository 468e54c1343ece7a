"""taskiq on Redis Streams."""

import asyncio
import os

import coroutines
from taskiq_redis import RedisStreamBroker

broker = RedisStreamBroker(os.environ["BENCH_URL"])
tasks = {each.__name__: broker.task(each) for each in coroutines.TASKS}
_loop = asyncio.new_event_loop()
_started = False


def put_one(task: str, argument: object) -> None:
    """Put a task."""
    global _started  # noqa: PLW0603 - the broker is
    if not _started:
        _loop.run_until_complete(broker.startup())
        _started = True
    _loop.run_until_complete(tasks[task].kiq(argument))


def put_many(task: str, arguments: range) -> None:
    """Put tasks, as many at once as the broker's pool has connections."""

    async def put(lot: range) -> None:
        await asyncio.gather(*(tasks[task].kiq(argument) for argument in lot))

    for first in range(0, len(arguments), 50):
        _loop.run_until_complete(put(arguments[first : first + 50]))
