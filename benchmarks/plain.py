"""A plain Celery app that runs on either transport: BENCH_URL and BENCH_TRANSPORT (ours or stock) say where and how."""

import os
import time
from functools import cache

from celery import Celery
from redis import Redis

URL = os.environ.get("BENCH_URL", "redis://127.0.0.1:6379/0")
OURS = os.environ.get("BENCH_TRANSPORT", "ours") == "ours"

if OURS:
    import broker.transport  # noqa: F401

app = Celery("benchmarks.plain", broker=URL)
app.conf.update(
    task_acks_late=True,
    task_reject_on_worker_lost=True,
    task_ignore_result=True,
    worker_prefetch_multiplier=int(os.environ.get("BENCH_PREFETCH", "1")),
    worker_cancel_long_running_tasks_on_connection_loss=False,
    broker_connection_retry_on_startup=True,
    task_default_queue="bench",
    broker_transport_options={} if OURS else {"visibility_timeout": 20, "unacked_restore_interval": 2},
)


@cache
def _client(pid: int) -> Redis:  # noqa: ARG001 - a forked process gets one of its own
    return Redis.from_url(URL)


@app.task
def noop(number: int) -> int:
    """Nothing at all."""
    return number


@app.task
def mark(number: int, seconds: float) -> None:
    """Work for a while, then say once that this run is done."""
    time.sleep(seconds)
    _client(os.getpid()).rpush("bench:done", number)
