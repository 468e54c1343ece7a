"""Queues that are lists: what stock kombu has put there is moved in small steps, and nobody's messages are named."""

import json
import uuid

import pytest
from kombu import Connection, Producer

from gristmill.broker import leases
from gristmill.broker.unattended_queues import orphans
from gristmill.config.settings import load
from tests.support.leases import end_leases
from tests.support.transport_bench import put


@pytest.fixture
def channel(bench, monkeypatch):
    with bench.connect() as connection:
        channel = connection.default_channel
        monkeypatch.setattr(channel.lease, "keep", lambda queues, take_lists=False: channel.lease.queues.update(queues))
        yield channel
    end_leases()


@pytest.fixture
def stock(bench):
    """A channel of stock kombu below the same prefix."""
    with Connection(bench.url, transport_options={"global_keyprefix": bench.prefix}) as connection:
        yield connection.default_channel


def move(channel, queue="q"):
    channel.lease.with_lists.add(queue)
    channel.lease.move_lists()


def taken(channel, count, queue="q"):
    return [channel.basic_get(queue, no_ack=True).payload for _ in range(count)]


class TestMoving:
    def test_keeps_the_order_of_each_priority(self, channel, stock):
        for number, priority in enumerate((9, 9, 6, 3, 3, 0, 0)):
            put(stock, number, priority=priority)
        move(channel)
        assert taken(channel, 7) == [5, 6, 3, 4, 2, 0, 1]
        assert stock._size("q") == 0

    def test_takes_other_steps_of_priority_too(self, bench, channel, stock):
        stock.priority_steps = [0, 1, 8]
        for number in (8, 1, 0):
            put(stock, number, priority=number)
        move(channel)
        assert taken(channel, 3) == [0, 1, 8]

    def test_is_off_unless_it_is_asked_for(self, channel, stock):
        put(stock, 1)
        assert channel.basic_get("q") is None
        channel.lease.move_lists()
        assert stock._size("q") == 1

    def test_is_in_steps_that_leave_the_server_free(self, bench, channel, stock, monkeypatch):
        text = json.dumps({"body": "x" * 1000})
        with bench.client.pipeline() as pipe:
            for start in range(0, 3000, 100):
                pipe.lpush(f"{bench.prefix}q", *[f"{start + n} {text}" for n in range(100)])
            pipe.execute()
        monkeypatch.setattr(leases, "MOVE_CALLS", 1)
        move(channel)
        left = bench.client.llen(f"{bench.prefix}q")
        assert 0 < 3000 - left <= leases.MOVE_MOST
        monkeypatch.setattr(leases, "MOVE_CALLS", 100)
        move(channel)
        entries = bench.client.xrange(f"{bench.prefix}gm1:q:q:0")
        assert [int(fields["m"].split()[0]) for _, fields in entries] == list(range(3000))

    def test_of_large_messages_stops_at_their_bytes(self, bench, channel, monkeypatch):
        bench.client.lpush(f"{bench.prefix}q", *["x" * leases.MOVE_BYTES] * 3)
        monkeypatch.setattr(leases, "MOVE_CALLS", 1)
        move(channel)
        assert bench.client.llen(f"{bench.prefix}q") == 2

    def test_leaves_a_key_of_another_type_and_names_it_once(self, bench, channel, stock, caplog):
        bench.client.set(f"{bench.prefix}q", "theirs")
        put(stock, 1, priority=9)
        for _ in range(2):
            move(channel)
        assert bench.client.get(f"{bench.prefix}q") == "theirs"
        assert [f"'{bench.prefix}q'" in record.getMessage() for record in caplog.records] == [True]
        assert taken(channel, 1) == [1]

    def test_leaves_lists_below_another_prefix(self, bench, channel):
        bench.client.lpush("q", "theirs")
        try:
            move(channel)
            assert bench.client.llen("q") == 1
        finally:
            bench.client.delete("q")

    def test_a_message_that_waits_for_its_time_is_hidden_until_then(self, bench, channel, stock):
        put(stock, 1, headers={"task": "t", "id": "1", "eta": "2100-01-01T00:00:00+00:00"})
        put(stock, 2, headers={"task": "t", "id": "2", "eta": "2001-01-01T00:00:00"})
        put(stock, 3, headers={"task": "t", "id": "3", "eta": "no time"})
        move(channel)
        messages = [message for message in (channel.basic_get("q") for _ in range(3)) if message]
        times = [(message.payload, message.headers["eta"]) for message in messages]
        assert times == [(2, "2001-01-01T00:00:00"), (3, "no time")]
        assert bench.client.zcount(f"{bench.prefix}gm1:back:q", 10, "+inf") == 1


class TestLists:
    @pytest.fixture
    def ours(self, bench):
        options = {"global_keyprefix": bench.prefix, "stock_queues": ["mail"]}
        with bench.connect().clone(transport_options=options) as connection:
            yield connection.default_channel
        end_leases()

    @pytest.mark.parametrize("queue", ["mail", "x.reply.celery.pidbox", "0d4b33bc-97f8-3b6f-9a3c-0c4e0a7a4b1e"])
    def test_stock_reads_what_we_put_and_we_read_what_stock_puts(self, bench, ours, stock, queue):
        for number, priority in ((9, 9), (4, 4), (0, None)):
            put(ours, number, queue, priority=priority)
        assert ours._size(queue) == stock._size(queue) == 3
        assert [stock.basic_get(queue, no_ack=True).payload for _ in range(3)] == [0, 4, 9]
        put(stock, {"a": "ü"}, queue)
        assert ours._has_queue(queue)
        assert not ours._has_queue(queue + "s")
        message = ours.basic_get(queue)
        assert message.payload == {"a": "ü"}
        message.reject(requeue=True)
        assert ours._size(queue) == 1
        assert ours._purge(queue) == 1
        assert not list(bench.client.scan_iter(f"{bench.prefix}gm1:q:*"))

    def test_a_reply_queue_expires_as_it_was_declared(self, bench, ours):
        queue = "y.reply.celery.pidbox"
        ours.queue_declare(queue, arguments={"x-expires": 60_000})
        put(ours, 1, queue)
        assert 0 < bench.client.pttl(f"{bench.prefix}{queue}") <= 60_000
        with ours.connection.client.Producer() as producer, producer.batch(10):
            producer.publish(2, routing_key=queue, priority=9)
        assert 0 < bench.client.pttl(f"{bench.prefix}{queue}\x06\x169") <= 60_000
        ours._delete(queue, "reply.celery.pidbox", queue, "")
        assert not ours._has_queue(queue)

    def test_a_channel_reads_lists_and_streams(self, ours, stock):
        bodies, reply = [], "0d4b33bc-97f8-3b6f-9a3c-0c4e0a7a4b1e"
        connection = ours.connection.client
        queues = [connection.SimpleQueue(name, channel=ours).queue for name in ("q", reply)]
        with connection.Consumer(queues, ours, callbacks=[lambda body, message: bodies.append(body)], no_ack=True):
            for number in range(3):
                put(ours, number)
                put(stock, -number, reply)
            while len(bodies) < 6:
                connection.drain_events(timeout=30)
        assert sorted(bodies) == [-2, -1, 0, 0, 1, 2]

    def test_a_batch_is_put_on_a_list(self, ours, stock):
        with ours.connection.client.Producer() as producer, producer.batch(10):
            for number in range(25):
                producer.publish(number, routing_key="mail")
        assert [stock.basic_get("mail", no_ack=True).payload for _ in range(25)] == list(range(25))


class TestOrphans:
    def settings(self, bench, **environ):
        return load({"GRISTMILL_PREFIX": bench.prefix, **environ})

    def test_are_streams_without_a_worker_and_lists_of_our_queues(self, bench, channel, stock):
        for queue in ("mail", "mail", "q", "cpu"):
            put(channel, 1, queue)
        for queue in ("cpu", "q", "theirs"):
            put(stock, 1, queue, priority=3)
        channel.lease.scripts.call("renew", consumer=channel.lease.consumer, queues=["q"])
        settings = self.settings(bench)
        assert orphans(bench.client, settings, ["cpu"]) == [("mail", "stream", 2), ("cpu", "list", 1), ("q", "list", 1)]
        settings = self.settings(bench, GRISTMILL_TAKE_LISTS="true")
        assert orphans(bench.client, settings, ["cpu"]) == [("mail", "stream", 2)]

    def test_are_keys_of_another_type_too(self, bench):
        bench.client.set(f"{bench.prefix}cpu", "x")
        assert orphans(bench.client, self.settings(bench), ["cpu", "io"]) == [("cpu", "other", 0)]


@pytest.mark.parametrize("compression", [None, "zlib"])
def test_a_reply_that_is_given_back_is_read_again(channel, stock, compression):
    """As a look at the state of a task does whose results come by `rpc://`; a stock program may read the next time."""
    reply = str(uuid.uuid4())
    Producer(channel).publish({"a": "ä"}, routing_key=reply, compression=compression)
    for reader in (channel, channel, stock):
        message = reader.basic_get(reply)
        assert message.payload == {"a": "ä"}
        message.requeue()
    assert channel.basic_get(reply, no_ack=True).payload == {"a": "ä"}
