"""Queues that expire when nobody uses them, on a real server: nothing expires that somebody holds or waits for."""

import json

import pytest

from gristmill.broker.leases import Lease
from tests.conftest import until

EXPIRES_MS, NEVER, GONE = 60_000, -1, -2
PARTS = ("q:brief:0", "back:brief", "suspects:brief")


@pytest.fixture
def brief(channel):
    """A channel with a queue `brief` that expires after a minute."""
    channel.queue_declare("brief", arguments={"x-expires": EXPIRES_MS})
    return channel


def put(channel, body, **properties):
    message = channel.prepare_message(json.dumps(body), content_type="application/json", **properties)
    channel.basic_publish(message, "", "brief")


def times(bench):
    """For how long each key of the queue still exists, in ms."""
    return [bench.client.pttl(f"{bench.prefix}gm1:{part}") for part in PARTS]


def reclaim(lease, queue="brief", silent=1000):
    """Scan as a process does that listens to `queue`."""
    lease.scripts.call("renew", consumer=lease.consumer, queues=[queue])
    return lease.scripts.call("reclaim", caller=lease.consumer, silent=silent, most=10, queues=[queue])


def forget(bench, *consumers):
    """Let the leases of consumers end, and have the next scan look at the queue."""
    if consumers:
        bench.client.zadd(f"{bench.prefix}gm1:lease:brief", dict.fromkeys(consumers, 0))
    bench.client.zadd(f"{bench.prefix}gm1:expiry_looks", {"brief": 0})


def take(lease, consumer):
    return lease.scripts.call("take", consumer=consumer, credit=1, create=True, queues=["brief"], tags=[])[2]


def test_a_queue_that_nobody_uses_expires_with_what_is_on_it(bench, brief):
    put(brief, 1)
    assert 0 < times(bench)[0] <= EXPIRES_MS
    with brief.connection.client.Producer(channel=brief) as producer, producer.batch(10):
        producer.publish(2, routing_key="brief", priority=3)
    assert 0 < bench.client.pttl(f"{bench.prefix}gm1:q:brief:3") <= EXPIRES_MS


def test_a_message_that_is_held_keeps_every_key_of_its_queue(bench, brief):
    put(brief, 1)
    lease = brief.lease
    tag, *_ = take(lease, "dying")
    lease.scripts.call("back", consumer="dying", suspicion=1, unseen=False, tags=[tag])
    put(brief, 2)
    assert times(bench) == [NEVER] * 3
    assert take(lease, "dying")
    assert times(bench) == [NEVER, GONE, NEVER]


def test_the_message_of_a_dead_worker_is_waited_for_and_run_again(bench, brief):
    put(brief, 1)
    lease = brief.lease
    take(lease, "dead")
    forget(bench, "dead")
    assert reclaim(lease, "other") == [0, 0]
    assert times(bench)[0] == NEVER
    assert reclaim(lease) == [1, 0]
    assert take(lease, "alive")


def test_its_time_begins_when_the_last_consumer_is_gone(bench, brief):
    put(brief, 1)
    lease = brief.lease
    tag, *_ = take(lease, "one")
    lease.scripts.call("ack", consumer="one", tags=[tag])
    put(brief, 2)
    assert times(bench)[0] == NEVER
    reclaim(lease, "other")
    assert times(bench)[0] == NEVER, "a lease keeps it"
    forget(bench, "one")
    reclaim(lease, "other")
    assert 0 < times(bench)[0] <= EXPIRES_MS
    bench.client.pexpire(f"{bench.prefix}gm1:q:brief:0", 1000)
    forget(bench)
    reclaim(lease, "other")
    assert times(bench)[0] <= 1000, "a second look is no use of the queue"


def test_the_server_forgets_a_queue_that_has_expired(bench, brief):
    put(brief, 1)
    bench.client.delete(f"{bench.prefix}gm1:q:brief:0")
    bench.client.zadd(f"{bench.prefix}gm1:expiry_looks", {"brief": 0})
    reclaim(brief.lease, "other")
    assert not bench.client.exists(f"{bench.prefix}gm1:expires", f"{bench.prefix}gm1:expiry_looks")


def test_a_message_that_waits_for_its_time_keeps_the_queue(bench, brief):
    put(brief, 1, headers={"task": "t", "id": "one", "eta": "2100-01-01T00:00:00+00:00"})
    put(brief, 2)
    assert times(bench)[0] == NEVER
    bench.client.zadd(f"{bench.prefix}gm1:expiry_looks", {"brief": 0})
    reclaim(brief.lease, "other")
    assert times(bench)[0] == NEVER


def test_a_worker_that_listens_keeps_it_before_it_takes_anything(bench, brief, monkeypatch):
    monkeypatch.setattr(Lease, "keep", lambda lease, queues, _: lease.queues.update(queues))
    put(brief, 1)
    connection, bodies = brief.connection.client, []
    queue = connection.SimpleQueue("brief", queue_opts={"expires": EXPIRES_MS / 1000}, channel=brief).queue
    with connection.Consumer(queue, brief, callbacks=[lambda body, message: bodies.append(body)]):
        until(lambda: connection.drain_events(timeout=5) is None and bodies == [1])
    assert times(bench)[0] == NEVER
    assert bench.client.hget(f"{bench.prefix}gm1:expires", "brief") == str(EXPIRES_MS)


@pytest.mark.slow
def test_a_worker_killed_over_a_task_longer_than_the_expiry_loses_nothing(bench):
    """The lease (2 s) and the task (6 s) are longer than the queue's expiry (1 s)."""
    worker = bench.worker("prefork", 1, 1, "-Q", "brief")
    until(lambda: "ready" in bench.log(), what="a worker that listens")
    bench.send(
        "from kombu import Queue\n"
        "queue = Queue('brief', expires=1)\n"
        "app.amqp.queues.add(queue)\n"
        "mark.apply_async((1, 6), queue=queue, declare=[queue])"
    )
    until(lambda: bench.begun() == [1], what="the beginning")
    begun_at = bench.client.time()[0]
    until(lambda: bench.client.time()[0] - begun_at >= 4, what="four seconds")
    worker.kill()
    bench.worker("prefork", 1, 1, "-Q", "brief")
    until(lambda: bench.done() == [1], 60, "its end")
