"""streaq; results are not kept."""

import atexit
import os
from contextlib import ExitStack

import coroutines
from anyio.from_thread import BlockingPortal, start_blocking_portal
from streaq import Worker

worker = Worker(
    redis_url=os.environ["BENCH_URL"],
    concurrency=32,
    anyio_kwargs={"use_uvloop": True},
)
tasks = {each.__name__: worker.task(ttl=0)(each) for each in coroutines.TASKS}
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


def put_one(task: str, argument: object) -> None:
    """Put a task."""

    async def put() -> None:
        await tasks[task].enqueue(argument)

    _open().call(put)


def put_many(task: str, arguments: range) -> None:
    """Put tasks, 500 in one round trip."""
    for first in range(0, len(arguments), 500):
        _open().call(worker.enqueue_many, [tasks[task].enqueue(each) for each in arguments[first : first + 500]])
