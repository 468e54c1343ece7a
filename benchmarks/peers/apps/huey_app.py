"""huey with a no-op, for its own environment: BENCH_URL says where, BENCH_TASKS how many are put."""

import os

from huey import RedisHuey

huey = RedisHuey("bench", url=os.environ["BENCH_URL"], results=False)


@huey.task()
def noop(number: int) -> None:
    """Nothing at all."""


def put() -> None:
    """Put the tasks on the queue."""
    for number in range(int(os.environ["BENCH_TASKS"])):
        noop(number)
