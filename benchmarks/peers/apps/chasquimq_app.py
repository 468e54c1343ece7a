"""`python chasquimq_app.py`: a worker of ChasquiMQ; results are not kept."""

import asyncio
import atexit
import os
from typing import Any

import coroutines
from chasquimq import Queue, Worker

URL = os.environ["BENCH_URL"]
TASKS = {each.__name__: each for each in coroutines.TASKS}
_loop = asyncio.new_event_loop()
_queue = Queue("bench", redis_url=URL)
atexit.register(lambda: _loop.run_until_complete(_queue.close()))


def put_one(task: str, argument: object) -> None:
    """Put a task."""
    _loop.run_until_complete(_queue.add(task, argument))


def put_many(task: str, arguments: range) -> None:
    """Put tasks, 500 in one call."""
    for first in range(0, len(arguments), 500):
        lot = [{"name": task, "data": each} for each in arguments[first : first + 500]]
        _loop.run_until_complete(_queue.add_bulk(lot))


async def _run(job: Any) -> None:
    await TASKS[job.name](job.data)


if __name__ == "__main__":
    asyncio.run(Worker("bench", _run, redis_url=URL, concurrency=100).run())
