"""A plain call of a task of ours puts the message that Celery's own task puts, whatever kind of call it is."""

import json
import threading
import uuid
from datetime import UTC, date, datetime
from functools import wraps

import pytest
from celery import Celery, Task, signals
from kombu.exceptions import EncodeError, OperationalError
from pydantic import BaseModel
from redis import Redis

from gristmill.broker.address import from_redis
from gristmill.broker.quick_task import QuickTask
from gristmill.tasks.fibonacci import fibonacci
from tests.support.proxy import Proxy

#: What each message has for itself.
OWN = {"id", "root_id", "correlation_id", "delivery_tag"}


def note(one=1, two=2, three=3):
    return one


class Model(BaseModel):
    number: int


class Shop:
    """An app with the same task twice: Celery's and ours."""

    def __init__(self, url, **config):
        self.prefix = f"u{uuid.uuid4().hex[:8]}:"
        self.client = Redis.from_url(url, decode_responses=True)
        self.app = Celery("shop", broker=from_redis(url), backend=url, set_as_current=False)
        self.app.conf.update(
            task_default_queue="q",
            task_publish_retry_policy={"max_retries": 2, "interval_start": 0, "interval_max": 0},
            broker_transport_options={"global_keyprefix": self.prefix},
            result_backend_transport_options={"global_keyprefix": self.prefix},
        )
        self.app.conf.update(config)
        self.app.finalize()
        self.quick = []

    def task(self, base, function=note, **options):
        """The task as Celery's or ours; ours notes which of its calls were quick."""
        task = self.app.task(function, name="shop.note", base=base, shared=False, **options)
        if base is QuickTask:
            put, quick = task.put_quickly, self.quick
            task.put_quickly = lambda arguments: _kept(quick, put(arguments))
        return task

    def forget(self):
        self.app.tasks.pop("shop.note", None)

    def put(self):
        """The messages on all queues, taken off, without what is each one's own; and their ids."""
        found, ids = [], []
        for key in sorted(self.client.scan_iter(f"{self.prefix}gm1:q:*")):
            for _, fields in self.client.xrange(key):
                message = json.loads(fields["m"])
                headers = message["headers"]
                assert headers.get("id") == headers.get("root_id") == message["properties"]["correlation_id"]
                ids.append(headers.get("id"))
                plain = message["content-type"] == "application/json" and "compression" not in headers
                body = json.loads(message.pop("body")) if plain else message.pop("body")
                found.append((key, body, _without(message)))
            self.client.delete(key)
        return found, ids

    def parents(self):
        """The parent and the root of each message."""
        keys = self.client.scan_iter(f"{self.prefix}gm1:q:*")
        texts = [fields["m"] for key in keys for _, fields in self.client.xrange(key)]
        return [
            (headers["parent_id"], headers["root_id"]) for text in texts if (headers := json.loads(text)["headers"])
        ]

    def close(self):
        self.app.pool.force_close_all()
        self.client.close()


def _kept(quick, result):
    quick.append(result is not None)
    return result


def _without(value):
    if not isinstance(value, dict):
        return value
    left = {name: _without(each) for name, each in value.items() if name not in OWN}
    if isinstance(left.get("expiration"), str):
        # Milliseconds from when it was put.
        left["expiration"] = round(int(left["expiration"]), -6)
    return left


@pytest.fixture
def shop(server):
    shop = Shop(server.url)
    yield shop
    shop.close()


def same(shop, call, function=note, **options):
    """Make a call of each task, twice of ours; the messages have to be the same. Answers how many were quick."""
    messages = []
    for base in (Task, QuickTask, QuickTask):
        task = shop.task(base, function, **options)
        result = call(task)
        put, ids = shop.put()
        assert len(put) == 1
        if ids[0] is not None:
            assert result.id == ids[0]
            assert result.ignored == task.ignore_result
            assert type(result) is type(task.AsyncResult("x"))
        messages += put
        shop.forget()
    assert messages[1] == messages[0]
    assert messages[2] == messages[0]
    return sum(shop.quick)


QUICK = {
    "no arguments": lambda task: task.delay(),
    "numbers": lambda task: task.delay(1, 2.5, None),
    "texts": lambda task: task.delay('quo"ted %s %(id)s', "Zoë", "\\"),
    "containers": lambda task: task.delay([{"a": [1]}], {"b": 2}, True),
    "what JSON lacks": lambda task: task.delay(date(2026, 1, 2), uuid.UUID(int=1), datetime(2026, 1, 2, tzinfo=UTC)),
    "a tuple of arguments": lambda task: task.apply_async((1, 2)),
    "a long text": lambda task: task.delay("x" * 5_000),
}
CELERYS = {
    "a list of arguments": lambda task: task.apply_async([1, 2]),
    "nothing": lambda task: task.apply_async(),
    "keywords": lambda task: task.delay(1, two=5),
    "a queue": lambda task: task.apply_async((1,), queue="other"),
    "a priority": lambda task: task.apply_async((1,), priority=7),
    "a link": lambda task: task.apply_async((1,), link=task.si(2)),
    "an errback": lambda task: task.apply_async((1,), link_error=task.si(2)),
    "headers": lambda task: task.apply_async((1,), headers={"tenant": "50 %"}),
    "stamps": lambda task: task.apply_async((1,), stamped_headers=["tenant"], tenant="x"),
    "an expiry": lambda task: task.apply_async((1,), expires=datetime(2100, 1, 1, tzinfo=UTC)),
    "compression": lambda task: task.apply_async((1,), compression="zlib"),
    "a serializer": lambda task: task.apply_async((1,), serializer="pickle"),
    "another name": lambda task: task.apply_async((1,), shadow="another"),
    "an id": lambda task: task.apply_async((1,), task_id=None, reply_to="me"),
}


def named(value):
    """The name of a test: the same in each process, so no address of a function."""
    return "-".join(value) if isinstance(value, dict) else None


@pytest.mark.parametrize("kind", QUICK)
def test_a_plain_call_is_quick_and_its_message_is_celerys(shop, kind):
    assert same(shop, QUICK[kind]) == 2


@pytest.mark.parametrize("kind", CELERYS)
def test_other_calls_are_celerys(shop, kind):
    assert same(shop, CELERYS[kind]) == 0


@pytest.mark.parametrize(
    ("options", "quick"),
    [
        ({"time_limit": 5, "soft_time_limit": 4}, 2),
        ({"ignore_result": True}, 2),
        ({"typing": False}, 2),
        ({"expires": 600}, 0),
        ({"serializer": "pickle"}, 0),
        ({"compression": "zlib"}, 0),
        ({"shadow_name": lambda *_: "named"}, 0),
    ],
    ids=named,
)
def test_what_a_task_says_is_in_its_messages(shop, options, quick):
    if "expires" in options:
        # They differ by the time between the calls.
        shop.task(QuickTask, **options).delay(1)
        assert shop.quick == [False]
        return
    assert same(shop, lambda task: task.delay(1), **options) == quick


def test_models_are_celerys(shop):
    def take(model: Model) -> int:
        return model.number

    assert same(shop, lambda task: task.delay(Model(number=3)), take, pydantic=True) == 0


@pytest.mark.parametrize(
    ("config", "quick"),
    [
        ({"task_routes": {"shop.*": {"queue": "routed", "priority": 3}}}, 2),
        ({"task_routes": (lambda *_, **__: {"queue": "routed"},)}, 0),
        ({"task_send_sent_event": True}, 0),
        ({"task_default_priority": 4}, 2),
        ({"task_default_delivery_mode": "transient"}, 2),
        ({"task_publish_retry": False}, 2),
    ],
    ids=named,
)
def test_what_an_app_says_is_in_its_messages(server, config, quick):
    shop = Shop(server.url, **config)
    try:
        assert same(shop, lambda task: task.delay(1)) == quick
    finally:
        shop.close()


def test_who_listens_hears_of_each(shop):
    heard = []

    def before(headers=None, **_):
        heard.append(headers["id"])

    task = shop.task(QuickTask)
    task.delay(0)
    signals.before_task_publish.connect(before)
    try:
        assert heard == [] == [task.delay(1).id][:0]
    finally:
        signals.before_task_publish.disconnect(before)
    assert len(heard) == 1
    assert shop.quick == [True, False]


def test_an_app_that_runs_its_tasks_at_once_puts_nothing(shop):
    task = shop.task(QuickTask)
    task.delay(0)
    shop.app.conf.task_always_eager = True
    assert task.delay(5).get() == 5
    assert len(shop.put()[1]) == 1


def test_a_call_within_a_task_has_its_parent(shop):
    def parent(base):
        return shop.task(base).delay(1).id

    for base in (Task, QuickTask):
        shop.app.task(parent, name=f"shop.{base.__name__}", shared=False).apply((base,), task_id="parent")
        shop.forget()
    assert shop.quick == [False]
    assert shop.parents() == [("parent", "parent")] * 2


def test_each_thread_is_told_its_replies(shop):
    tasks = {
        base: shop.app.task(note, name=f"shop.{base.__name__}", base=base, shared=False) for base in (Task, QuickTask)
    }
    replies = []

    def call():
        for task in tasks.values():
            task.delay(1)
        put, _ = shop.put()
        replies.append({message["properties"]["reply_to"] for _, _, message in put})

    for thread in [threading.Thread(target=call) for _ in range(2)]:
        thread.start()
        thread.join()
    call()
    assert [len(each) for each in replies] == [1, 1, 1]
    # A thread may have the number of one that has ended.
    assert len(set.union(*replies)) > 1


def test_a_wrong_call_puts_nothing(shop):
    task = shop.task(QuickTask)
    for arguments in ((1, 2, 3, 4), (object(),)):
        with pytest.raises((TypeError, EncodeError)):
            task.delay(*arguments)
    assert shop.put() == ([], [])


def test_a_call_whose_answer_is_cut_is_put_once(server):
    with Proxy(server.port) as proxy:
        shop = Shop(server.url.replace(f":{server.port}", f":{proxy.port}"))
        task = shop.task(QuickTask, ignore_result=True)
        try:
            for number in range(40):
                proxy.cut_often(0.02 if number % 2 else 0)
                try:
                    task.delay(number)
                except OperationalError:
                    shop.app.pool.force_close_all()
            proxy.cut_often(0)
            with Redis.from_url(server.url, decode_responses=True) as client:
                texts = [fields["m"] for _, fields in client.xrange(f"{shop.prefix}gm1:q:q:0")]
            ids = [json.loads(text)["headers"]["id"] for text in texts]
            assert len(ids) == len(set(ids))
            assert len(ids) >= 20
        finally:
            shop.close()


def test_who_wraps_celerys_apply_async_sees_each_call(shop, monkeypatch):
    """Tracers do that: they add headers to each message."""
    calls, celerys = [], Task.apply_async

    @wraps(celerys)
    def traced(*args, **kwargs):
        calls.append(1)
        return celerys(*args, **kwargs)

    monkeypatch.setattr(Task, "apply_async", traced)
    shop.task(QuickTask).delay(1)
    assert (calls, shop.quick) == ([1], [False])


def test_our_own_tasks_are_quick(here, monkeypatch):
    puts = []
    monkeypatch.setattr("gristmill.broker.quick_put.publish", lambda *_: puts.append(1))
    fibonacci.delay(3)
    assert puts == [1]
