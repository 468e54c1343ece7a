"""A plain Celery app on our transport, which runs in the environment of either side."""

import os

import work  # of benchmarks/peers/apps
from celery import Celery

import gristmill.broker

__all__ = ["app", "gristmill", "noop"]

app = Celery("plain_app", broker=os.environ["BENCH_URL"].replace("redis", "gristmill", 1))
app.conf.update(
    task_ignore_result=True,
    task_acks_late=True,
    task_default_queue="plain",
    worker_prefetch_multiplier=10,
    worker_cancel_long_running_tasks_on_connection_loss=False,
    broker_connection_retry_on_startup=True,
)
noop = app.task(work.noop)
