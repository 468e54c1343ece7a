"""A list of calls: each message is the one that `apply_async` puts, lots are put once, errors say what is there."""

import json
import uuid
from datetime import UTC, date, datetime

import pytest
from celery import Celery, signals
from kombu.exceptions import EncodeError, OperationalError
from redis import Redis

from gristmill.broker.address import from_redis
from gristmill.broker.enqueue import LOT, enqueue_many
from tests.conftest import until
from tests.support.dropin_bench import DropIn
from tests.support.proxy import Proxy

ARGUMENTS = [(1, 2.5, None), ('quo"ted %s %(id)s', "Zoë", "\\"), ([{"a": [1]}], date(2026, 1, 2), b"raw".decode())]


def note(one, two=2, three=3):
    return one


class Shop:
    """An app below a prefix of its own, and what it has put."""

    def __init__(self, url, through=None):
        self.prefix = f"e{uuid.uuid4().hex[:8]}:"
        self.client = Redis.from_url(url, decode_responses=True)
        self.app = Celery("shop", broker=from_redis(through or url), set_as_current=False)
        self.app.conf.update(
            task_default_queue="q",
            task_ignore_result=True,
            task_publish_retry_policy={"max_retries": 2, "interval_start": 0, "interval_max": 0},
            broker_transport_options={"global_keyprefix": self.prefix},
        )
        self.note = self.app.task(note, name="shop.note", shared=False)

    def put(self):
        """The messages on all queues, without what is each one's own."""
        found = []
        for key in sorted(self.client.scan_iter(f"{self.prefix}gm1:q:*")):
            for _, fields in self.client.xrange(key):
                message = json.loads(fields["m"])
                headers, properties = message["headers"], message["properties"]
                assert headers["id"] == headers["root_id"] == properties["correlation_id"]
                for own in (headers.pop("id"), headers.pop("root_id"), properties.pop("correlation_id")):
                    assert uuid.UUID(own)
                del properties["delivery_tag"]
                if "expiration" in properties:
                    # Milliseconds from when it was put.
                    properties["expiration"] = round(int(properties["expiration"]), -7)
                plain = message["content-type"] == "application/json" and "compression" not in headers
                found.append((key, {**message, "body": json.loads(message["body"]) if plain else message["body"]}))
        return found

    def size(self):
        return sum(self.client.xlen(key) for key in self.client.scan_iter(f"{self.prefix}gm1:q:*"))

    def close(self):
        self.app.pool.force_close_all()
        self.client.close()


@pytest.fixture
def shop(server):
    shop = Shop(server.url)
    yield shop
    shop.close()


def same(shop, **options):
    """What a list puts, which has to be what single calls put."""
    for arguments in ARGUMENTS:
        shop.note.apply_async(arguments, **options)
    single = shop.put()
    shop.client.delete(*{key for key, _ in single})
    ids = enqueue_many(shop.note, ARGUMENTS, **options)
    assert len(set(ids)) == len(ARGUMENTS)
    assert shop.put() == single
    return single


class TestMessages:
    @pytest.mark.parametrize(
        "options",
        [
            {},
            {"priority": 7},
            {"queue": "other"},
            {"expires": datetime(2100, 1, 1, tzinfo=UTC), "headers": {"tenant": "50 %"}},
            {"compression": "zlib"},
            {"serializer": "pickle"},
            {"time_limit": 5, "shadow": "another %(name)s", "ignore_result": False},
        ],
        ids=str,
    )
    def test_are_those_of_single_calls(self, shop, options):
        same(shop, **options)

    def test_have_keyword_arguments_in_common(self, shop):
        shop.note.apply_async((1,), {"three": 9})
        single = shop.put()
        enqueue_many(shop.note, [(1,)], kwargs={"three": 9})
        assert shop.put() == single * 2

    def test_of_the_older_protocol_are_put_one_by_one(self, shop):
        shop.app.conf.task_protocol = 1
        ids = enqueue_many(shop.note, ARGUMENTS[:2])
        texts = [fields["m"] for _, fields in shop.client.xrange(f"{shop.prefix}gm1:q:q:0")]
        assert [json.loads(json.loads(text)["body"])["id"] for text in texts] == ids

    def test_have_their_links(self, shop):
        same(shop, link=shop.note.si("after %s"))

    def test_go_where_routes_lead(self, shop):
        shop.app.conf.task_routes = {"shop.*": {"queue": "routed", "priority": 3}}
        assert {key for key, _ in same(shop)} == {f"{shop.prefix}gm1:q:routed:3"}

    def test_go_each_its_way_where_a_function_routes(self, shop):
        shop.app.conf.task_routes = (lambda name, args, *rest, **more: {"queue": f"by-{type(args[0]).__name__}"},)
        assert {key.split(":")[3] for key, _ in same(shop)} == {"by-int", "by-str", "by-list"}

    def test_are_told_of_one_by_one_to_who_listens(self, shop):
        told = []

        @signals.before_task_publish.connect(weak=False)
        def listen(headers=None, **_):
            told.append(headers["id"])

        try:
            same(shop)
            assert len(told) == 2 * len(ARGUMENTS)
        finally:
            signals.before_task_publish.disconnect(listen)

    def test_wait_where_they_are_to(self, shop):
        ids = enqueue_many(shop.note, [(1,), (2,)], countdown=60)
        waiting = shop.client.zrange(f"{shop.prefix}gm1:later:q", 0, -1)
        assert {json.loads(text[1:])["headers"]["id"] for text in waiting} == set(ids)
        assert shop.size() == 0

    def test_ids_are_in_order(self, shop):
        ids = enqueue_many(shop.note, ((number,) for number in range(LOT + 5)))
        texts = [fields["m"] for _, fields in shop.client.xrange(f"{shop.prefix}gm1:q:q:0")]
        assert [json.loads(text)["headers"]["id"] for text in texts] == ids
        assert [json.loads(json.loads(text)["body"])[0] for text in texts] == [[n] for n in range(LOT + 5)]

    def test_of_nothing_are_none(self, shop):
        assert enqueue_many(shop.note, []) == []


class TestErrors:
    def test_arguments_that_the_task_does_not_take(self, shop):
        calls = [(number,) for number in range(LOT)] + [(1,), (1, 2, 3, 4)]
        with pytest.raises(TypeError, match="takes from 1 to 3 positional") as error:
            enqueue_many(shop.note, calls)
        assert [note.startswith("1,000 calls are on the queue") for note in error.value.__notes__] == [True]
        assert shop.size() == LOT

    def test_arguments_that_json_cannot_say(self, shop):
        with pytest.raises(EncodeError) as error:
            enqueue_many(shop.note, [(1,), (object(),)])
        assert "0 calls are on the queue" in error.value.__notes__[0]
        assert shop.size() == 0

    @pytest.mark.parametrize("option", ["args", "task_id", "producer", "connection"])
    def test_an_option_of_one_call(self, shop, option):
        with pytest.raises(TypeError, match=f"'{option}'"):
            enqueue_many(shop.note, [(1,)], **{option: None})

    def test_a_full_server_has_whole_lots(self, shop):
        def calls():
            for number in range(5 * LOT):
                if number == 3 * LOT:
                    shop.client.config_set("maxmemory", 1)
                yield (number,)

        try:
            with pytest.raises(OperationalError, match=r"maxmemory|OOM") as error:
                enqueue_many(shop.note, calls())
        finally:
            shop.client.config_set("maxmemory", 0)
        assert error.value.__notes__[0].startswith("3,000 calls are on the queue")
        assert shop.size() == 3 * LOT


def test_a_lot_whose_answer_is_cut_is_put_once(server):
    with Proxy(server.port) as proxy:
        shop = Shop(server.url, server.url.replace(f":{server.port}", f":{proxy.port}"))
        enqueue_many(shop.note, [(0,)])

        def calls():
            for number in range(2 * LOT + 1):
                if number % LOT == 0:
                    proxy.cut_next(b"_\r\n")
                yield (number,)

        ids = enqueue_many(shop.note, calls())
        assert (proxy.cuts, len(ids), shop.size()) == (3, 2 * LOT + 1, 2 * LOT + 2)
        shop.close()


def test_workers_run_them(server, tmp_path):
    bench = DropIn(server.url, tmp_path)
    try:
        bench.worker("threads", 4, 10)
        put = "from gristmill.broker.enqueue import enqueue_many; ids = enqueue_many(add, [(n, n) for n in range(600)])"
        assert bench.ask("[app.AsyncResult(id).get(timeout=50) for id in ids]", put) == [2 * n for n in range(600)]
        until(lambda: bench.standing() == 0)
    finally:
        bench.close()
