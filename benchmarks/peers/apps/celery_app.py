"""Celery on the transport that BENCH_TRANSPORT names: ours, set to lose nothing, or stock, as it comes."""

import os

import work
from celery import Celery

OURS = os.environ["BENCH_TRANSPORT"] == "ours"
URL = os.environ["BENCH_URL"]
if OURS:
    from gristmill.broker.address import from_redis
    from gristmill.broker.enqueue import enqueue_many

    URL = from_redis(URL)

TASK = "gristmill.broker.quick_task:QuickTask" if OURS else "celery:Task"

app = Celery("celery_app", broker=URL, task_cls=TASK)
app.conf.update(
    task_ignore_result=True,
    task_acks_late=OURS,
    task_reject_on_worker_lost=OURS,
    worker_prefetch_multiplier=int(os.environ.get("BENCH_PREFETCH", "1")),
    worker_cancel_long_running_tasks_on_connection_loss=False,
    broker_connection_retry_on_startup=True,
)
tasks = {each.__name__: app.task(each) for each in work.TASKS}


def put_one(task: str, argument: object) -> None:
    """Put a task."""
    tasks[task].delay(argument)


def put_many(task: str, arguments: range) -> None:
    """Put tasks: ours as a list, stock 500 in one round trip."""
    if OURS:
        enqueue_many(tasks[task], ((argument,) for argument in arguments))
        return
    with app.producer_pool.acquire() as producer, producer.batch(500):
        for argument in arguments:
            tasks[task].apply_async((argument,), producer=producer)
