"""What this room uses of Celery and billiard beyond their documented names, each under a name of ours.

`tests/unit/test_internals.py` asserts every name, and says what breaks when a version lacks it.
"""

from collections.abc import Iterator
from concurrent.futures import Future
from contextlib import contextmanager
from typing import Any

from billiard.common import terminate_handler_fired as is_terminated
from celery.app.trace import trace_task_ret as run_traced_task
from celery.concurrency.thread import TaskPool as ThreadPool
from celery.worker import state
from celery.worker.consumer import Consumer as CeleryConsumer
from celery.worker.request import Request as CeleryRequest
from celery.worker.strategy import default as default_strategy

__all__ = [
    "CeleryConsumer",
    "CeleryRequest",
    "ThreadPool",
    "default_strategy",
    "end_when_drained",
    "is_terminated",
    "pool_runs",
    "run_traced_task",
    "thread_of",
    "unreported_jobs_kept",
]


def end_when_drained(code: int) -> None:
    """Have the worker end with that exit code once its messages have ended."""
    state.should_stop = code


def thread_of(job: Any) -> Future[Any]:
    """The future of a job of a thread pool."""
    future: Future[Any] = job.f
    return future


def pool_runs(job: Any, pool: Any) -> bool:
    """Whether a pool runs a job, or will whatever happens: a pool process reads one that is being written to it."""
    if isinstance(pool, ThreadPool):
        # Nothing tells which jobs a thread pool has started. It runs all of them unless it is stopped.
        return bool(pool.active)
    return bool(getattr(job, "_write_to", None) or getattr(job, "_scheduled_for", None))


@contextmanager
def unreported_jobs_kept(pool: Any) -> Iterator[None]:
    """Keep Celery from forgetting the jobs that pool processes have read but not reported as started."""
    processes = getattr(pool, "_pool", None)
    every = list(getattr(processes, "_cache", {}).values())
    jobs = [job for job in every if job._write_to and not job._accepted]
    for job in jobs:
        job._accepted = True
    yield
    for job in jobs:
        job._accepted = job._time_accepted is not None
