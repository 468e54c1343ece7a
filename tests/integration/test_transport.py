"""The transport on a real server with real workers: every message that was put comes to its end."""

import asyncio
import json
import os
import signal
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta

import pytest
from flower.utils import broker
from redis.exceptions import RedisError

from gristmill.broker.address import from_redis
from gristmill.broker.messages import AHEAD_SECONDS
from gristmill.config.settings import load
from gristmill.dashboard import queues
from gristmill.server.home import Home
from gristmill.server.private import PrivateServer
from tests.conftest import until
from tests.support.transport_bench import Bench, put


def test_take_ack_and_size(bench, channel):
    for number in range(3):
        put(channel, number)
    assert channel._size("q") == 3
    messages = [channel.basic_get("q") for _ in range(3)]
    assert [message.payload for message in messages] == [0, 1, 2]
    assert channel.basic_get("q") is None
    assert (channel._size("q"), bench.standing()) == (0, 3)
    for message in messages:
        message.ack()
    assert bench.standing() == 0


def test_what_is_handed_back_comes_first_and_in_its_order(bench, channel):
    for number in range(4):
        put(channel, number)
    first, second = channel.basic_get("q"), channel.basic_get("q")
    second.reject(requeue=True)
    first.requeue()
    assert channel._size("q") == 4
    assert [channel.basic_get("q", no_ack=True).payload for _ in range(4)] == [0, 1, 2, 3]
    assert bench.standing() == 0


def test_levels_are_strict_and_a_message_without_one_is_first(channel):
    for number, priority in ((9, 9), (5, 5), (1, 1), (0, None)):
        put(channel, number, priority=priority)
    put(channel, 10, priority=1)
    assert [channel.basic_get("q", no_ack=True).payload for _ in range(5)] == [0, 1, 10, 5, 9]


def test_purge_leaves_what_is_being_worked_on(bench, channel):
    for number in range(3):
        put(channel, number)
    taken = channel.basic_get("q")
    assert channel.queue_purge("q") == 2
    assert (channel._size("q"), bench.standing()) == (0, 1)
    put(channel, 7)
    assert channel.basic_get("q", no_ack=True).payload == 7
    taken.ack()
    assert channel._purge("q") == 0
    assert channel._has_queue("q")
    channel.queue_declare("q")
    channel.exchange_declare("e", "direct")
    channel.queue_bind("q", "e", "k")
    channel.queue_delete("q")
    assert not channel._has_queue("q")


def test_every_key_has_the_prefix(bench, channel):
    before = set(bench.client.scan_iter("*")) - set(bench.client.scan_iter(bench.prefix + "*"))
    put(channel, 1)
    channel.basic_get("q").ack()
    after = set(bench.client.scan_iter("*")) - set(bench.client.scan_iter(bench.prefix + "*"))
    # Keys of other tests may expire meanwhile.
    assert after <= before
    assert all(key.startswith(f"{bench.prefix}gm1:") for key in bench.client.scan_iter(bench.prefix + "*"))


def test_a_message_due_later_waits_in_the_server(bench, channel):
    bench.send("mark.apply_async((1,), countdown=1.5)")
    assert (bench.standing(), channel._size("q")) == (0, 0)
    assert bench.client.zcard(f"{bench.prefix}gm1:later:q") == 1
    assert channel.basic_get("q") is None
    message = until(lambda: channel.basic_get("q"), what="the message's time")
    assert datetime.fromisoformat(message.headers["eta"]) <= datetime.now(UTC) + timedelta(seconds=AHEAD_SECONDS)
    message.ack()


def test_an_acknowledgement_is_refused_once_another_has_the_message(bench, channel, caplog):
    put(channel, 1)
    message = channel.basic_get("q")
    level, identity, queue = message.delivery_tag.split("/")
    bench.client.xclaim(f"{bench.prefix}gm1:q:{queue}:{level}", "gm", "another", 0, [identity])
    message.ack()
    assert "gristmill.broker.acks" in {record.name for record in caplog.records}
    assert bench.standing() == 1


def test_a_malformed_message_is_kept_as_a_dead_letter(bench, channel):
    bench.client.xadd(f"{bench.prefix}gm1:q:q:0", {"m": "{"})
    assert channel.basic_get("q") is None
    (letter,) = bench.dead()
    assert (letter["message"], letter["queue"]) == ("{", "q")
    assert letter["reason"].startswith("malformed: not JSON")


def test_a_batch_of_messages_is_one_pipeline(bench, channel):
    with bench.connect() as connection, connection.Producer() as producer:
        with producer.batch(100):
            for number in range(250):
                producer.publish(number, routing_key="q")
        assert channel._size("q") == 250


@pytest.mark.parametrize(("pool", "slots", "multiplier"), [("prefork", 2, 1), ("threads", 10, 10)])
def test_every_task_runs_once(bench, pool, slots, multiplier):
    bench.send("for n in range(300): mark.delay(n)")
    bench.worker(pool, slots, multiplier)
    until(lambda: len(bench.done()) >= 300 and bench.standing() == 0, 60)
    assert bench.done() == list(range(300))


@pytest.mark.slow
@pytest.mark.parametrize(("pool", "slots", "multiplier"), [("prefork", 2, 10), ("threads", 5, 4)])
def test_what_a_killed_worker_had_runs_elsewhere(bench, pool, slots, multiplier):
    bench.send("for n in range(60): mark.delay(n, 0.2)")
    first = bench.worker(pool, slots, multiplier)
    until(lambda: len(bench.done()) >= 4, 60)
    os.killpg(first.pid, signal.SIGKILL)
    bench.worker(pool, slots, multiplier)
    until(lambda: set(bench.done()) == set(range(60)), 60)
    assert len(bench.done()) - 60 <= slots * multiplier
    assert bench.dead() == []


@pytest.mark.slow
def test_a_stopped_worker_cannot_acknowledge_what_others_have_by_then(bench):
    bench.send("mark.delay(1, 1.5)")
    first = bench.worker()
    until(bench.begun, 60)
    os.killpg(first.pid, signal.SIGSTOP)
    bench.worker()
    until(lambda: bench.begun() == [1, 1], 60, "the second run")
    os.killpg(first.pid, signal.SIGCONT)
    until(lambda: bench.done() == [1, 1] and bench.standing() == 0)
    bench.send("mark.delay(2)")
    until(lambda: 2 in bench.done())


@pytest.mark.slow
def test_a_task_of_three_leases_runs_once_beside_another_worker(bench):
    bench.send("mark.delay(1, 6)")
    bench.worker()
    bench.worker("threads")
    until(lambda: bench.done() == [1] and bench.standing() == 0, 60)
    assert bench.begun() == [1]


@pytest.mark.slow
def test_a_message_that_kills_pool_processes_runs_alone_and_is_kept(bench):
    bench.send("die_once.delay(1); die.delay(2); mark.delay(3)")
    bench.worker()
    until(lambda: bench.done() == [1, 3] and bench.standing() == 0, 60)
    assert bench.begun().count(2) == 1 + 3, "once in the pool, then alone"
    (letter,) = bench.dead()
    assert letter["deaths"] == "3"
    assert json.loads(letter["message"])["headers"]["task"].endswith(".die")


@pytest.mark.slow
@pytest.mark.parametrize(("pool", "multiplier"), [("prefork", 4), ("threads", 10)])
def test_a_warm_shutdown_under_load_loses_nothing_and_runs_nothing_twice(bench, pool, multiplier):
    bench.send("for n in range(100): mark.delay(n, 0.05)")
    first = bench.worker(pool, 4, multiplier)
    until(lambda: len(bench.done()) >= 10, 60)
    first.send_signal(signal.SIGTERM)
    first.wait(90)
    assert bench.client.zcard(f"{bench.prefix}gm1:back:q") == bench.standing() - bench.new()
    bench.worker(pool, 4, multiplier)
    until(lambda: len(bench.done()) >= 100 and bench.standing() == 0, 60)
    assert bench.done() == list(range(100))


@pytest.mark.slow
def test_pool_processes_that_are_replaced_lose_nothing(bench):
    bench.send("for n in range(60): mark.delay(n)")
    bench.worker("prefork", 2, 4, "--max-tasks-per-child", "3")
    until(lambda: len(bench.done()) >= 60 and bench.standing() == 0, 60)
    assert bench.done() == list(range(60))


def test_an_unknown_task_goes_back_with_a_delay(bench):
    bench.send("app.send_task('nobody.knows', queue='q'); mark.delay(1)")
    bench.worker()
    until(lambda: bench.done() == [1], 60)
    until(lambda: bench.client.zcount(f"{bench.prefix}gm1:back:q", 10, "+inf") == 1)
    until(lambda: bench.standing() == 1)
    assert bench.dead() == []


def test_what_waits_for_its_time_can_be_revoked(bench):
    bench.send("one = mark.apply_async((1,), countdown=3); two = mark.apply_async((2,), countdown=3); one.revoke()")
    bench.worker()
    until(lambda: 2 in bench.done() and bench.standing() == 0, 60)
    assert bench.done() == [2]


def test_workers_answer_remote_control(bench):
    bench.worker()
    bench.send("while not app.control.ping(timeout=1): pass\nassert app.control.inspect(timeout=3).active_queues()")


def test_flower_is_told_what_no_worker_has_taken(bench, channel):
    for number in range(3):
        put(channel, number, priority=number)
    taken = channel.basic_get("q")
    queues.install()
    asked = broker.Broker(from_redis(bench.url), broker_options={"global_keyprefix": bench.prefix})
    assert asyncio.run(asked.queues(["q", "none"])) == [
        {"name": "q", "messages": 2, "messages_ready": 2},
        {"name": "none", "messages": 0, "messages_ready": 0},
    ]
    taken.ack()


@contextmanager
def own_server(tmp_path):
    with PrivateServer(Home(tmp_path / "own"), load({})) as server:
        bench = Bench(server.url, tmp_path)
        try:
            yield server, bench
        finally:
            bench.close()


def answers(bench):
    try:
        return bench.client.ping()
    except RedisError:
        return False


@pytest.mark.slow
@pytest.mark.parametrize("pool", ["prefork", "threads"])
def test_a_task_that_runs_while_the_server_restarts_runs_once(tmp_path, pool):
    with own_server(tmp_path) as (server, bench):
        bench.send("mark.delay(1, 6)")
        bench.worker(pool)
        until(bench.begun, 60)
        os.kill(server.pid, signal.SIGKILL)
        until(lambda: not server.alive)
        server.restart()
        bench.worker(pool)
        bench.send("mark.delay(2)")
        until(lambda: answers(bench) and bench.done() == [1, 2] and bench.standing() == 0, 60)
        assert bench.begun() == [1, 2]
