"""A user's own Celery app on stock kombu, beside us on the server.

TEST_URL says where, TEST_PREFIX below which keys; with TEST_IMPORTS the module imports us first.
"""

import os

from celery import Celery, shared_task
from redis import Redis

if os.environ.get("TEST_IMPORTS"):
    import gristmill.broker.transport  # noqa: F401
    from gristmill import submit  # noqa: F401
    from gristmill.tasks.fibonacci import fibonacci  # noqa: F401

URL, PREFIX = os.environ["TEST_URL"], os.environ["TEST_PREFIX"]

app = Celery("tests.support.stock_app", broker=URL, backend=URL)
app.conf.update(
    broker_connection_retry_on_startup=True,
    broker_transport_options={"global_keyprefix": PREFIX},
    result_backend_transport_options={"global_keyprefix": PREFIX},
    task_default_queue="shop",
)


def say(key, value):
    with Redis.from_url(URL) as client:
        client.rpush(PREFIX + key, value)


@app.task
def sell(number):
    say("sold", number)
    return number


@shared_task
def pack(number):
    say("sold", number)
    return number
