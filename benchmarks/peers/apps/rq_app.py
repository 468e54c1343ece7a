"""rq; results are not kept."""

import os

import work
from redis import Redis
from rq import Queue

queue = Queue(connection=Redis.from_url(os.environ["BENCH_URL"]))


def put_one(task: str, argument: object) -> None:
    """Put a task."""
    queue.enqueue(getattr(work, task), argument, result_ttl=0)


def put_many(task: str, arguments: range) -> None:
    """Put tasks, 500 in one round trip."""
    function = getattr(work, task)
    for first in range(0, len(arguments), 500):
        lot = arguments[first : first + 500]
        queue.enqueue_many([Queue.prepare_data(function, (argument,), result_ttl=0) for argument in lot])
