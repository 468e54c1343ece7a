"""dramatiq with its default middleware."""

import os

import dramatiq
import work
from dramatiq.brokers.redis import RedisBroker

broker = RedisBroker(url=os.environ["BENCH_URL"])
dramatiq.set_broker(broker)
tasks = {each.__name__: dramatiq.actor(each) for each in work.TASKS}


def put_one(task: str, argument: object) -> None:
    """Put a task."""
    tasks[task].send(argument)
