"""streaq; its tasks are coroutines, results are not kept."""

import atexit
import os
from contextlib import ExitStack

import anyio
import work
from anyio.from_thread import BlockingPortal, start_blocking_portal
from streaq import Worker

worker = Worker(
    redis_url=os.environ["BENCH_URL"],
    concurrency=int(os.environ.get("BENCH_SLOTS", "32")),
    anyio_kwargs={"use_uvloop": True},
)


@worker.task(ttl=0)
async def noop(number: int) -> None:
    """Nothing at all."""
    work.noop(number)


@worker.task(ttl=0)
async def cpu(number: int) -> None:
    """About 10 ms of CPU."""
    work.cpu(number)


@worker.task(ttl=0)
async def wait(number: int) -> None:  # noqa: ARG001 - like the others
    """100 ms of waiting."""
    await anyio.sleep(work.WAIT_SECONDS)
    work.tally().done()


@worker.task(ttl=0)
async def light(submitted: float) -> None:
    """Note how long it is since then."""
    work.light(submitted)


tasks = {"noop": noop, "cpu": cpu, "wait": wait, "light": light}
_stack = ExitStack()
_portal: BlockingPortal | None = None


def _open() -> BlockingPortal:
    """An event loop in a thread, where the worker's connection stays open from one call to the next."""
    global _portal  # noqa: PLW0603 - one a process
    if _portal is None:
        _portal = _stack.enter_context(start_blocking_portal())
        _stack.enter_context(_portal.wrap_async_context_manager(worker))
        atexit.register(_stack.close)
    return _portal


def put_one(task: str, argument: float) -> None:
    """Put a task."""

    async def put() -> None:
        await tasks[task].enqueue(argument)

    _open().call(put)


def put_many(task: str, arguments: range) -> None:
    """Put tasks, 500 in one round trip."""
    for first in range(0, len(arguments), 500):
        _open().call(worker.enqueue_many, [tasks[task].enqueue(each) for each in arguments[first : first + 500]])
