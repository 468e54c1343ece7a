"""A plain Celery app with results, for the tests of the drop-in: the import below is all that it has of ours.

TEST_URL says where, TEST_PREFIX below which keys, TEST_BROKER how kombu spells it, TEST_OPTIONS what else goes into
the transport's options, TEST_BACKEND_OPTIONS into the backend's, TEST_CONFIG into the app's configuration.
"""

import gc
import json
import os
import signal
import time
from functools import cache
from pathlib import Path

from celery import Celery, Task, group
from celery.exceptions import Ignore, Reject, SoftTimeLimitExceeded
from celery.worker.control import inspect_command
from kombu.serialization import register
from redis import Redis

from gristmill.broker.address import from_redis

URL, PREFIX = os.environ["TEST_URL"], os.environ["TEST_PREFIX"]
BROKER = os.environ.get("TEST_BROKER", from_redis(URL))

app = Celery("dropin", broker=BROKER, backend=os.environ.get("TEST_BACKEND", URL))
app.conf.update(
    task_acks_late=True,
    task_reject_on_worker_lost=True,
    task_default_queue="q",
    worker_prefetch_multiplier=int(os.environ.get("TEST_MULTIPLIER", "1")),
    broker_connection_retry_on_startup=True,
    broker_transport_options={"global_keyprefix": PREFIX, **json.loads(os.environ.get("TEST_OPTIONS", "{}"))},
    result_backend_transport_options={
        "global_keyprefix": PREFIX,
        **json.loads(os.environ.get("TEST_BACKEND_OPTIONS", "{}")),
    },
)
app.conf.update(json.loads(os.environ.get("TEST_CONFIG", "{}")))


@cache
def client(pid):
    return Redis.from_url(URL, decode_responses=True)


def say(key, value):
    client(os.getpid()).rpush(PREFIX + key, value)


def say_decoded(text):
    say("decoded", os.getpid())
    return json.loads(text)


register("counted", json.dumps, say_decoded, content_type="application/x-counted", content_encoding="utf-8")


def held(name):
    """Wait until the test lets go of `name`."""
    while not client(os.getpid()).exists(f"{PREFIX}go:{name}"):
        time.sleep(0.02)


@app.task
def mark(number, seconds=0, hold=None):
    say("begun", number)
    time.sleep(seconds)
    if hold:
        held(hold)
    say("done", number)
    return number


@app.task(ignore_result=True)
def jot(number, hold=None):
    """Too short for a word to a server, unless it is held: it notes its beginning and its end in a file."""
    for word in ("begun", "done"):
        with Path(os.environ["TEST_NOTES"]).open("a") as file:
            file.write(f"{word} {number}\n")
        if hold and word == "begun":
            held(hold)


class Base(Task):
    """A base class that is not of this app's."""

    abstract = True


@app.task(base=Base)
def add(one, other):
    return one + other


@app.task
def total(numbers):
    say("totals", sum(numbers))
    return sum(numbers)


@app.task
def flat(values):
    return values


@app.task
def fail(*_):
    raise ValueError("as asked")


@app.task(bind=True)
def reject_first(self, number):
    """Celery's documented way to have a message come once more."""
    say("begun", number)
    if not self.request.delivery_info["redelivered"]:
        raise Reject("the first time", requeue=True)
    say("done", number)
    return number


@app.task(bind=True)
def ids(self, before=None):
    """The ids by which a task knows its relatives."""
    return [self.request.root_id, self.request.parent_id]


@app.task(bind=True)
def replaced(self, number):
    raise self.replace(add.s(number, number) | add.s(1))


@app.task(bind=True)
def spread(self, numbers, more):
    raise self.replace(group(add.s(number, more) for number in numbers))


class NeedsTwo(Exception):
    """An exception that cannot be made anew from its text."""

    def __init__(self, one, other):
        super().__init__(f"{one} and {other}")


class OddIgnore(Ignore, NeedsTwo):
    """The same, which Celery does not make plain."""


@app.task
def end_by(way):
    odd = NeedsTwo(1, 2)
    ways = {"ignore": Ignore(), "reject": Reject("no more", requeue=False), "odd": odd}
    raise (ways | {"odd reject": Reject(odd, requeue=False), "odd ignore": OddIgnore(1, 2)})[way]


@app.task(bind=True)
def properties(self):
    return [self.request.properties["app_id"], self.request.delivery_info["routing_key"]]


@app.task(soft_time_limit=0.3)
def notice_the_limit():
    try:
        time.sleep(30)
    except SoftTimeLimitExceeded:
        return "noticed"


@app.task(time_limit=0.5)
def ignore_the_limit():
    time.sleep(30)


@app.task
def run_out_of_memory(number):
    say("begun", number)
    raise MemoryError(number)


@app.task
def note(*args):
    say("notes", str(args[-1]))


@app.task(bind=True, max_retries=5)
def twice(self, number, countdown):
    say("begun", number)
    if self.request.retries == 0:
        raise self.retry(countdown=countdown)
    say("done", number)
    return self.request.retries


@app.task(bind=True, max_retries=1)
def tell(self):
    """Say what the task sees of its request, and retry once."""
    request = self.request
    say(
        "told",
        json.dumps(
            [
                request.headers,
                request.eta,
                sorted(name for name in vars(request) if name[0] != "_"),
                sorted(request.properties),
            ]
        ),
    )
    if request.retries == 0:
        raise self.retry(countdown=0.1)


@app.task(rate_limit="5/s")
def limited(number):
    say("begun", number)
    say("done", number)


@app.task(acks_late=False)
def early(number, hold=None):
    say("begun", number)
    if hold:
        held(hold)
    say("done", number)


@app.task
def kill_worker(number):
    say("begun", number)
    if client(os.getpid()).incr(f"{PREFIX}killed") == 1:
        os.killpg(os.getppid(), signal.SIGKILL)
    say("done", number)


@app.task
def frozen():
    return gc.get_freeze_count()


@inspect_command()
def channel(state):
    """What the worker's channel is, and which class its connections have."""
    channel = state.consumer.connection.default_channel
    kind = channel.pool.connection_class
    return [
        f"{type(channel).__module__}:{type(channel).__qualname__}",
        kind.__qualname__,
        channel.pool.connection_kwargs["db"],
    ]


@inspect_command()
def requests(state):
    """Which classes of requests the app's tasks make."""
    return sorted({str(task.Request) for task in state.app.tasks.values()})


@inspect_command(args=[("seconds", float)])
def block(state, seconds):
    """Block the worker's loop."""
    time.sleep(seconds)
    return "blocked"
