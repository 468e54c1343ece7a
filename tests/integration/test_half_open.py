"""Connections whose other end is gone without a word, as behind a proxy or a router that has forgotten them."""

import socket
import time
from contextlib import suppress

import pytest
from kombu import Connection, Consumer, Producer, Queue

from gristmill.broker.address import from_redis
from gristmill.server.connection import KEEPALIVE, connect
from tests.conftest import until


@pytest.fixture
def bench(proxied_bench):
    return proxied_bench


def through(bench, **options):
    """A connection that leads through the proxy."""
    return Connection(from_redis(bench.through), transport_options={"global_keyprefix": bench.prefix, **options})


def test_a_reader_hears_that_nothing_comes_and_reads_again(bench, proxy):
    bodies = []
    with through(bench, health_check_interval=0.2) as connection:
        channel = connection.default_channel
        with Consumer(channel, Queue("q"), callbacks=[lambda body, message: (bodies.append(body), message.ack())]):
            Producer(channel).publish(1, routing_key="q")
            connection.drain_events(timeout=20)
            # So that a read is on its way.
            with suppress(socket.timeout):
                connection.drain_events(timeout=0.1)
            proxy.silence()
            with bench.connect() as other:
                Producer(other).publish(2, routing_key="q")

            def drained():
                with suppress(socket.timeout, *connection.connection_errors):
                    connection.drain_events(timeout=0.2)
                return bodies == [1, 2]

            until(drained, 20, "the second message")
    assert bench.standing() == 0


def test_a_message_is_put_once_over_another_connection(bench, proxy):
    with through(bench, socket_timeout=0.3) as connection:
        producer = connection.Producer()
        producer.publish(1, routing_key="q", declare=[Queue("q")], retry=True)
        proxy.silence()
        producer.publish(2, routing_key="q", retry=True)
    assert bench.standing() == 2


@pytest.mark.parametrize("again", [False, True])
def test_an_acknowledgement_that_went_along_with_a_request_without_an_answer_is_sent_again(bench, proxy, again):
    """Nobody else can: to this process its message looks like one that it still runs."""
    with through(bench) as connection:
        channel = connection.default_channel
        connection.Producer().publish(1, routing_key="q", declare=[Queue("q")])
        with Consumer(channel, Queue("q")):
            tag = channel.basic_get("q").delivery_tag
            channel.qos.delivered.pop(tag)
            channel.lease.acks.put_back([tag])
            # As kombu's poller does.
            channel.client.connection = channel.client.connection_pool.get_connection()
            proxy.silence()
            channel.start_reading()
            channel.client.connection.disconnect()
            if again:
                # kombu does so when it misses the answer to a read.
                channel.start_reading()
        channel.close()
        until(lambda: bench.standing() == 0, 30, "the acknowledgement")


def test_defaults_of_the_transport_end_a_wait_and_options_stand_before_them(bench):
    with through(bench) as connection, through(bench, socket_timeout=3) as other:
        kwargs = connection.default_channel.pool.connection_kwargs
        assert (kwargs["socket_timeout"], kwargs["socket_keepalive_options"]) == (5, KEEPALIVE)
        assert connection.transport_options["health_check_interval"] == 5
        assert other.default_channel.pool.connection_kwargs["socket_timeout"] == 3


@pytest.mark.skipif(not hasattr(socket, "TCP_KEEPIDLE"), reason="not Linux")
def test_the_kernel_asks_for_the_other_end(server):
    client = connect(server.url)
    connection = client.connection_pool.get_connection()
    try:
        assert connection._sock.getsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPIDLE) == 30
    finally:
        client.connection_pool.release(connection)
        client.close()


@pytest.mark.slow
def test_a_worker_goes_on(bench, proxy):
    bench.worker("threads", 4, url=bench.through)
    bench.send("for n in range(3): mark.delay(n)")
    until(lambda: len(bench.done()) == 3 and bench.standing() == 0, 60, "the first tasks")
    proxy.silence()
    since = time.monotonic()
    bench.send("for n in range(3, 40): mark.delay(n)")
    until(lambda: set(bench.done()) == set(range(40)) and bench.standing() == 0, 60)
    assert time.monotonic() - since < 50, "kombu's own 51 s have no part in it"
    assert bench.dead() == []
