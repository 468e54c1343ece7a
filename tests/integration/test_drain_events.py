"""`drain_events()` delivers one message per call, as on stock kombu: others may have the rest."""

import json
from queue import Empty

import pytest
from kombu.asynchronous.hub import Hub

from tests.conftest import until
from tests.support.transport_bench import put


@pytest.fixture
def messages():
    return []


@pytest.fixture
def consumer(channel, messages):
    connection = channel.connection.client
    queue = connection.SimpleQueue("q", channel=channel).queue
    return connection.Consumer(queue, channel, on_message=messages.append)


def bodies(messages):
    return [message.payload for message in messages]


@pytest.mark.parametrize("prefetch", [0, 1, 10])
def test_a_call_delivers_one_message_and_leaves_the_others(bench, channel, consumer, messages, prefetch):
    for number in range(5):
        put(channel, number)
    channel.basic_qos(0, prefetch, False)
    with consumer:
        for number in range(3):
            consumer.connection.drain_events(timeout=30)
            assert bodies(messages) == list(range(number + 1))
            assert channel._size("q") == 4 - number
            if prefetch == 1:
                messages[-1].ack()
    assert bench.client.exists(f"{bench.prefix}gm1:back:q") == 0
    with bench.connect() as another:
        assert another.default_channel.basic_get("q").payload == 3


def test_the_first_level_comes_first_and_what_was_requeued_keeps_its_place(channel, consumer, messages):
    for number, priority in ((6, 6), (3, 3), (5, 5)):
        put(channel, number, priority=priority)
    with consumer:
        for _ in range(3):
            consumer.connection.drain_events(timeout=30)
    assert bodies(messages) == [3, 5, 6]
    for message in messages:
        message.requeue()
    messages.clear()
    put(channel, 1, priority=1)
    with consumer:
        for _ in range(4):
            consumer.connection.drain_events(timeout=30)
    assert bodies(messages) == [1, 3, 5, 6]


def test_a_call_that_waits_leaves_what_comes_meanwhile_on_other_levels(bench, channel, consumer, messages):
    with consumer:
        with pytest.raises(TimeoutError):
            consumer.connection.drain_events(timeout=0.3)
        # The connection has a read outstanding, which may answer with one message of each stream.
        with bench.client.pipeline() as pipe:
            for level in range(3):
                message = channel.prepare_message(str(level), content_type="application/json")
                message["properties"] |= {"delivery_tag": "t", "delivery_info": {"exchange": "", "routing_key": "q"}}
                pipe.xadd(f"{bench.prefix}gm1:q:q:{level}", {"m": json.dumps(message)})
            pipe.execute()
        consumer.connection.drain_events(timeout=30)
        assert len(messages) == 1
        assert channel._size("q") == 2
        for _ in range(2):
            consumer.connection.drain_events(timeout=30)
    assert sorted(bodies(messages)) == [0, 1, 2]
    assert not any(message.delivery_info.get("redelivered") for message in messages)


def test_an_event_loop_that_is_not_kombus_meets_no_error_where_an_answer_has_no_message(channel, consumer, messages):
    hub = Hub()
    connection = consumer.connection

    def turn():
        for tick in list(hub.on_tick):
            tick()
        for file, _ in hub.poller.poll(0.1) or ():
            callback, arguments = hub.readers[file]
            callback(*arguments)

    with consumer:
        connection.register_with_event_loop(hub)
        for _ in range(3):
            turn()
        put(channel, 1)
        until(lambda: turn() or messages)
    assert bodies(messages) == [1]
    hub.close()


def test_a_malformed_message_is_no_event(bench, channel, consumer, messages):
    bench.client.xadd(f"{bench.prefix}gm1:q:q:0", {"m": "{"})
    put(channel, 1)
    with consumer:
        consumer.connection.drain_events(timeout=30)
    assert bodies(messages) == [1]
    assert len(bench.dead()) == 1


def test_a_simple_queue_has_what_it_gives(bench, channel):
    for number in range(3):
        put(channel, number)
    with bench.connect() as connection, connection.SimpleQueue("q") as queue:
        message = queue.get(timeout=30)
        assert message.payload == 0
        message.ack()
        assert len(queue) == 2
        queue.get(timeout=30).requeue()
        assert [queue.get(timeout=30).payload for _ in range(2)] == [1, 2]
        with pytest.raises(Empty):
            queue.get(timeout=0.3)
    until(lambda: channel._size("q") == 2, what="what the queue has not acknowledged")


def test_a_connection_closes_a_channel_that_only_fetched_and_one_that_reads(bench, messages):
    with bench.connect() as connection:
        reading = connection.channel()
        queue = connection.SimpleQueue("q", channel=reading).queue
        for number in range(2):
            put(reading, number)
        with connection.channel() as fetching:
            assert fetching.basic_get("q").payload == 0
        fetching = connection.channel()
        assert fetching.basic_get("q").payload == 0
        with connection.Consumer(queue, reading, on_message=messages.append):
            connection.drain_events(timeout=30)
        assert bodies(messages) == [1]
    with bench.connect() as another:
        assert [another.default_channel.basic_get("q").payload for _ in range(2)] == [0, 1]
