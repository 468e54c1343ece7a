"""arq; results are not kept."""

import asyncio
import os
from typing import Any

import coroutines
from arq import create_pool, func
from arq.connections import ArqRedis, RedisSettings

REDIS = RedisSettings.from_dsn(os.environ["BENCH_URL"])


def _function(task: Any) -> Any:
    """arq calls a function with a context first."""

    async def run(_context: object, argument: object) -> None:
        await task(argument)

    return func(run, name=task.__name__)


class WorkerSettings:
    """Read by `arq`."""

    functions = [_function(each) for each in coroutines.TASKS]  # noqa: RUF012 - what arq asks for
    redis_settings = REDIS
    max_jobs = 32
    keep_result = 0
    log_results = False


_loop = asyncio.new_event_loop()
_redis: ArqRedis | None = None


def _pool() -> ArqRedis:
    global _redis  # noqa: PLW0603 - one a process
    if _redis is None:
        _redis = _loop.run_until_complete(create_pool(REDIS))
    return _redis


def put_one(task: str, argument: object) -> None:
    """Put a task."""
    _loop.run_until_complete(_pool().enqueue_job(task, argument))


def put_many(task: str, arguments: range) -> None:
    """Put tasks, 50 at once."""
    pool = _pool()

    async def put(lot: range) -> None:
        await asyncio.gather(*(pool.enqueue_job(task, each) for each in lot))

    for first in range(0, len(arguments), 50):
        _loop.run_until_complete(put(arguments[first : first + 50]))
