"""A Celery app with a chord, on the broker BENCH_BROKER, with results on the server BENCH_RESULTS."""

import os
import sys
import time

from celery import Celery, chord

if os.environ["BENCH_BROKER"].startswith("gristmill"):
    import gristmill.broker  # noqa: F401 (its schemes)

app = Celery("chords", broker=os.environ["BENCH_BROKER"], backend=os.environ["BENCH_RESULTS"])
app.conf.update(
    task_default_queue="chords",
    worker_prefetch_multiplier=64,
    worker_cancel_long_running_tasks_on_connection_loss=False,
    broker_connection_retry_on_startup=True,
)


@app.task(name="same")
def same(number: int) -> int:
    """The number."""
    return number


@app.task(name="total")
def total(numbers: list[int]) -> int:
    """Their sum."""
    return sum(numbers)


def main() -> None:
    """Run a chord of so many tasks, and print its sum, its seconds, and those until its messages were put."""
    number = int(sys.argv[1])
    # Workers are up.
    same.delay(0).get(timeout=120)
    started_at = time.perf_counter()
    result = chord(same.s(each) for each in range(number))(total.s())
    put_at = time.perf_counter()
    answer = result.get()
    print(answer, time.perf_counter() - started_at, put_at - started_at)


if __name__ == "__main__":
    main()
