"""A plain Celery app on our transport, for tests: TEST_URL says where, TEST_PREFIX below which keys."""

import os
import signal
import time
from functools import cache

from celery import Celery
from redis import Redis

from broker.transport import install
from config.celery import secured

install()
URL, PREFIX = os.environ["TEST_URL"], os.environ["TEST_PREFIX"]


class Controlled(Celery):
    control_cls = "tasks.control:Control"


app = Controlled("tests.integration.transport_app", broker=secured(URL))
app.conf.update(
    task_acks_late=True,
    task_reject_on_worker_lost=True,
    task_ignore_result=True,
    worker_prefetch_multiplier=int(os.environ.get("TEST_MULTIPLIER", "1")),
    worker_cancel_long_running_tasks_on_connection_loss=False,
    broker_connection_retry_on_startup=True,
    task_default_queue="q",
    broker_transport_options={"global_keyprefix": PREFIX},
    worker_consumer="worker.consumer:Consumer",
)
app.Task.Request = "worker.request:Request"


@cache
def client(pid):
    return Redis.from_url(os.environ["TEST_SAYS"], decode_responses=True)


def say(key, value):
    client(os.getpid()).rpush(PREFIX + key, value)


@app.task
def mark(number, seconds=0):
    say("begun", number)
    time.sleep(seconds)
    say("done", number)


@app.task
def die_once(number):
    say("begun", number)
    if client(os.getpid()).incr(f"{PREFIX}died:{number}") == 1:
        os.kill(os.getpid(), signal.SIGKILL)
    say("done", number)


@app.task
def die(number):
    say("begun", number)
    os.kill(os.getpid(), signal.SIGKILL)


@app.task(rate_limit="8/s")
def slowly(number):
    say("begun", number)
    say("done", number)
