"""dramatiq with its default middleware."""

import os

import dramatiq
import work
from dramatiq.brokers.redis import RedisBroker

broker = RedisBroker(url=os.environ["BENCH_URL"])
dramatiq.set_broker(broker)
tasks = {each.__name__: dramatiq.actor(each) for each in (work.noop, work.cpu, work.wait, work.light)}


def put_one(task: str, argument: float) -> None:
    """Put a task."""
    tasks[task].send(argument)
