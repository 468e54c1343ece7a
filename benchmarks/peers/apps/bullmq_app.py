"""`python bullmq_app.py`: a worker of BullMQ for Python; what is done is removed, results are not kept."""

import asyncio
import atexit
import os
from typing import Any

import coroutines
from bullmq import Queue, Worker

REDIS = {"connection": os.environ["BENCH_URL"]}
OPTIONS = {"removeOnComplete": True}
TASKS = {each.__name__: each for each in coroutines.TASKS}
_loop = asyncio.new_event_loop()
_queue: Queue | None = None


def _open() -> Queue:
    global _queue  # noqa: PLW0603 - one a process
    if _queue is None:
        _queue = Queue("bench", REDIS)
        atexit.register(lambda: _loop.run_until_complete(_open().close()))
    return _queue


def put_one(task: str, argument: object) -> None:
    """Put a task."""

    async def put() -> None:
        await _open().add(task, {"argument": argument}, OPTIONS)

    _loop.run_until_complete(put())


def put_many(task: str, arguments: range) -> None:
    """Put tasks, 500 in one round trip."""

    async def put(lot: range) -> None:
        await _open().addBulk([{"name": task, "data": {"argument": each}, "opts": OPTIONS} for each in lot])

    for first in range(0, len(arguments), 500):
        _loop.run_until_complete(put(arguments[first : first + 500]))


async def _work() -> None:
    async def run(job: Any, _token: str) -> None:
        await TASKS[job.name](job.data["argument"])

    Worker("bench", run, {**REDIS, "concurrency": 32})
    await asyncio.Event().wait()


if __name__ == "__main__":
    asyncio.run(_work())
