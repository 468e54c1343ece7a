"""huey: results are off, as nobody reads them."""

import os

import work
from huey import RedisHuey

huey = RedisHuey("bench", url=os.environ["BENCH_URL"], results=False)
tasks = {each.__name__: huey.task()(each) for each in work.TASKS}


def put_one(task: str, argument: object) -> None:
    """Put a task."""
    tasks[task](argument)
