"""A plain Celery app that runs on either transport: BENCH_URL and BENCH_TRANSPORT (ours or stock) say where and how."""

import os
import signal
import time
from typing import Any

from celery import Celery
from celery.signals import worker_init

from benchmarks.chaos import standstill
from benchmarks.chaos.journal import say
from gristmill.broker.address import from_redis

URL = os.environ.get("BENCH_URL", "redis://127.0.0.1:6379/0")
OURS = os.environ.get("BENCH_TRANSPORT", "ours") == "ours"
#: Stock kombu's counterpart of the lease; it looks every 2 seconds, as ours does.
TIMEOUT = {
    "visibility_timeout": float(os.environ.get("GRISTMILL_LEASE_SECONDS", "20")),
    "unacked_restore_interval": 2,
    "unacked_restore_throttle": 1,
    "unacked_mutex_expire": 20,
}

app = Celery("benchmarks.plain", broker=from_redis(URL) if OURS else URL)
app.conf.update(
    task_acks_late=True,
    task_reject_on_worker_lost=True,
    task_ignore_result=True,
    worker_prefetch_multiplier=int(os.environ.get("BENCH_PREFETCH", "1")),
    worker_cancel_long_running_tasks_on_connection_loss=False,
    broker_connection_retry_on_startup=True,
    task_default_queue="bench",
    broker_transport_options={} if OURS else TIMEOUT,
)


@worker_init.connect
def _prepare(sender: Any, **_: Any) -> None:
    """End with the process that holds the other end of standard input; stand still when a run asks for that.

    BENCH_POOL names the pool, instead of what the transport has chosen.
    """
    from gristmill.local.parent_death import end_with_parent

    sender.pool_cls = os.environ.get("BENCH_POOL", sender.pool_cls)
    if os.environ.get("BENCH_TETHER"):
        end_with_parent(signal.SIGKILL)
    if os.environ.get(standstill.STALL_SECONDS):
        standstill.obey()


@app.task
def noop(number: int) -> int:
    """Nothing at all."""
    return number


@app.task(bind=True)
def work(self: Any, seconds: float) -> None:
    """Say that it has begun, work for a while, say that it is done. Its number is its id."""
    say("begun", int(self.request.id))
    time.sleep(seconds)
    say("done", int(self.request.id))


@app.task(bind=True)
def poison(self: Any) -> None:
    """Kill the process that runs it: a pool's, or a worker of threads."""
    say("begun", int(self.request.id))
    os.kill(os.getpid(), signal.SIGKILL)
