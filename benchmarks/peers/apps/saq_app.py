"""saq; results are not kept."""

import asyncio
import os
from typing import Any

import coroutines
from saq import Queue

queue = Queue.from_url(os.environ["BENCH_URL"])


def _function(task: Any) -> tuple[str, Any]:
    """saq calls a function with a context and keywords."""

    async def run(_context: object, *, argument: object) -> None:
        await task(argument)

    return task.__name__, run


settings = {
    "queue": queue,
    "functions": [_function(each) for each in coroutines.TASKS],
    "concurrency": 32,
}
_loop = asyncio.new_event_loop()


def put_one(task: str, argument: object) -> None:
    """Put a task; one whose worker dies runs again."""
    _loop.run_until_complete(queue.enqueue(task, argument=argument, ttl=-1, retries=3))


def put_many(task: str, arguments: range) -> None:
    """Put tasks, 50 at once."""

    async def put(lot: range) -> None:
        await asyncio.gather(*(queue.enqueue(task, argument=each, ttl=-1, retries=3) for each in lot))

    for first in range(0, len(arguments), 50):
        _loop.run_until_complete(put(arguments[first : first + 50]))
