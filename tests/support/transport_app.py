"""A plain Celery app on our transport, for tests: TEST_URL says where, TEST_PREFIX below which keys."""

import os
import signal
import sys
import time
from functools import cache

from celery import Celery, chain  # noqa: F401 - chain is for those who send
from celery.exceptions import Reject
from redis import Redis

from gristmill.broker.address import from_redis

URL, PREFIX = os.environ["TEST_URL"], os.environ["TEST_PREFIX"]

app = Celery("tests.support.transport_app", broker=from_redis(URL))
app.conf.update(
    task_acks_late=True,
    task_reject_on_worker_lost=True,
    task_ignore_result=True,
    worker_prefetch_multiplier=int(os.environ.get("TEST_MULTIPLIER", "1")),
    worker_cancel_long_running_tasks_on_connection_loss=bool(os.environ.get("TEST_CANCEL")),
    broker_connection_retry_on_startup=True,
    task_default_queue="q",
    broker_transport_options={"global_keyprefix": PREFIX},
)


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
def be_due(at):
    """Say by how many seconds it begins after `at`, in seconds since the epoch."""
    say("late", time.time() - at)


@app.task
def die_once(number):
    say("begun", number)
    if client(os.getpid()).incr(f"{PREFIX}died:{number}") == 1:
        os.kill(os.getpid(), signal.SIGKILL)
    say("done", number)


@app.task(ignore_result=False)
def double(number):
    say("pids", os.getpid())
    return 2 * number


@app.task
def keep(number):
    client(os.getpid()).set(PREFIX + "kept", number)


@app.task(bind=True, autoretry_for=(LookupError,), retry_backoff=False, default_retry_delay=0.1)
def fail_once(self, number):
    if not self.request.retries:
        say("pids", os.getpid())
        raise LookupError(number)
    say("done", number)


@app.task
def rejected(number):
    say("pids", os.getpid())
    if client(os.getpid()).incr(f"{PREFIX}rejected") == 1:
        raise Reject("once", requeue=True)
    say("done", number)


@app.task
def failing(number):
    say("pids", os.getpid())
    raise LookupError(number)


@app.task
def keep_error(request, error, traceback):
    say("done", request.args[0])


@app.task
def die(number):
    say("begun", number)
    os.kill(os.getpid(), signal.SIGKILL)


@app.task
def leave(number):
    say("begun", number)
    sys.exit(number)


@app.task(rate_limit="8/s")
def slowly(number):
    say("begun", number)
    say("done", number)
