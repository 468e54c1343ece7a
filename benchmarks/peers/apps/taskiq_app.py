"""taskiq on Redis Streams; its tasks are coroutines, which it runs best."""

import asyncio
import os

import work
from taskiq_redis import RedisStreamBroker

broker = RedisStreamBroker(os.environ["BENCH_URL"])


@broker.task
async def noop(number: int) -> None:
    """Nothing at all."""
    work.noop(number)


@broker.task
async def cpu(number: int) -> None:
    """About 10 ms of CPU."""
    work.cpu(number)


@broker.task
async def wait(number: int) -> None:  # noqa: ARG001 - like the others
    """100 ms of waiting."""
    await asyncio.sleep(work.WAIT_SECONDS)
    work.tally().done()


@broker.task
async def light(submitted: float) -> None:
    """Note how long it is since then."""
    work.light(submitted)


tasks = {"noop": noop, "cpu": cpu, "wait": wait, "light": light}
_loop = asyncio.new_event_loop()
_started = False


def put_one(task: str, argument: float) -> None:
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
