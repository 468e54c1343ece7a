"""What a worker's event loop asks of the server: it reads ahead of what it delivers, and acknowledges in time."""

import os
import signal
import time

import pytest
from kombu import Queue
from kombu.asynchronous import Hub, set_event_loop

from gristmill.broker.reader import TAKE_MOST
from tests.conftest import until
from tests.support.transport_bench import put


class Loop:
    """An event loop in this thread that reads a channel; `messages` are those that it has delivered."""

    def __init__(self, bench, prefetch):
        self.hub, self.messages = Hub(), []
        set_event_loop(self.hub)
        self.connection = bench.connect()
        self.channel = self.connection.default_channel
        # Else the first answer would be that the server does not know it.
        self.channel.scripts.load("take")
        self.consumer = self.connection.Consumer([Queue("q")], channel=self.channel, on_message=self.receive)
        self.consumer.qos(prefetch_count=prefetch)
        self.consumer.consume()
        self.connection.transport.register_with_event_loop(self.connection.connection, self.hub)
        #: Called with each message.
        self.on_message = lambda message: None

    def receive(self, message):
        self.messages.append(message)
        self.on_message(message)

    def run(self, condition, what):
        """Turn until something holds."""

        def turned():
            next(self.hub.loop)
            return condition()

        until(turned, what=what)

    def close(self):
        self.connection.close()
        self.hub.close()
        set_event_loop(None)


@pytest.fixture
def loop_of(bench):
    loops = []

    def make(prefetch):
        loops.append(Loop(bench, prefetch))
        return loops[0]

    yield make
    for loop in loops:
        loop.close()


@pytest.fixture
def crowd(channel):
    """More messages than two takes bring."""
    for number in range(3 * TAKE_MOST):
        put(channel, number)


def pending(bench):
    """How many messages each consumer has."""
    (group,) = bench.client.xinfo_groups(f"{bench.prefix}gm1:q:q:0")
    consumers = bench.client.xinfo_consumers(f"{bench.prefix}gm1:q:q:0", group["name"])
    return {each["name"]: each["pending"] for each in consumers}


@pytest.mark.usefixtures("crowd")
def test_the_next_take_is_on_its_way_before_the_messages_of_a_full_one_are_delivered(loop_of):
    loop, is_reading = loop_of(10 * TAKE_MOST), []
    loop.on_message = lambda _: is_reading.append(bool(loop.channel.lease.reading))
    loop.run(lambda: len(is_reading) == 3 * TAKE_MOST, "all messages")
    assert all(is_reading[: 2 * TAKE_MOST])


@pytest.mark.usefixtures("crowd")
@pytest.mark.parametrize("prefetch", [TAKE_MOST, TAKE_MOST + 10, 2 * TAKE_MOST])
def test_no_more_messages_come_than_there_is_room_for(bench, loop_of, prefetch):
    loop = loop_of(prefetch)
    loop.run(lambda: len(loop.messages) == prefetch, "as many as there is room for")
    assert pending(bench)[loop.channel.lease.consumer] == prefetch
    for message in loop.messages[: TAKE_MOST // 2]:
        message.ack()
    loop.run(lambda: len(loop.messages) == prefetch + TAKE_MOST // 2, "those for which there is room again")


@pytest.mark.usefixtures("crowd")
def test_a_worker_that_is_held_while_a_take_is_on_its_way_keeps_nothing_of_it(bench, loop_of):
    loop = loop_of(10 * TAKE_MOST)
    consumer = loop.channel.lease.consumer
    loop.run(lambda: loop.messages, "the messages of a take")
    until(lambda: pending(bench)[consumer] == 2 * TAKE_MOST, what="those of the next one")
    loop.channel.qos.is_held = True
    loop.channel.leave_request()
    assert (len(loop.messages), pending(bench)[consumer]) == (TAKE_MOST, TAKE_MOST)
    assert not loop.channel.lease.reading


def test_an_acknowledgement_waits_for_no_event(bench, channel, loop_of, monkeypatch):
    put(channel)
    loop = loop_of(10)
    loop.run(lambda: loop.messages, "the message")
    # A read waits for the next one by now, and nothing else comes.
    loop.run(lambda: loop.channel.reader.is_waiting and loop.channel.lease.reading, "a read that waits")
    sent, flush = [], loop.channel.lease.acks.flush
    monkeypatch.setattr(loop.channel.lease.acks, "flush", lambda: (sent.append(time.monotonic()), flush()))
    acknowledged_at = time.monotonic()
    loop.messages[0].ack()
    loop.run(lambda: not bench.standing(), "the acknowledgement")
    assert sent[0] - acknowledged_at < 1


@pytest.mark.parametrize(("pool", "signum"), [("prefork", "SIGTERM"), ("threads", "SIGTERM"), ("threads", "SIGQUIT")])
def test_what_ends_while_a_worker_drains_is_acknowledged_meanwhile(bench, pool, signum):
    bench.send("mark.delay(1, 1)\nmark.delay(2, 30)")
    worker = bench.worker(pool, 2)
    until(lambda: bench.begun() == [1, 2], 60, "both tasks")
    os.kill(worker.pid, signal.Signals[signum])
    until(lambda: bench.done() == [1], what="the short task")
    until(lambda: bench.standing() == 1, what="its acknowledgement")
    assert worker.poll() is None


def test_takes_bring_many_messages_after_a_reconnect_too(bench):
    bench.worker("threads", 40)
    bench.send("mark.delay(0)")
    until(lambda: bench.done() == [0], 60, "a worker")
    (worker,) = [client for client in bench.client.client_list() if client["cmd"] == "xreadgroup"]
    bench.client.client_kill_filter(_id=worker["id"])
    bench.send("mark.delay(1)")
    until(lambda: bench.done() == [0, 1], 60, "a worker that has connected again")
    takes = reads(bench)
    bench.send("from gristmill.broker.enqueue import enqueue_many\nenqueue_many(mark, ((n,) for n in range(2, 302)))")
    until(lambda: bench.standing() == 0, 60, "all tasks")
    assert reads(bench) - takes < 200


def reads(bench):
    """How often the server was asked for messages."""
    return bench.client.info("commandstats")["cmdstat_xreadgroup"]["calls"]
