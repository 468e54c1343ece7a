"""`redelivered`: a message that comes again says so, whoever handed it back; one that nobody has seen does not."""

import json
from datetime import UTC, datetime, timedelta

import pytest

from gristmill.broker import leases
from tests.conftest import until
from tests.support.dropin_bench import DropIn
from tests.support.leases import end_leases
from tests.support.transport_bench import put

BENCH = DropIn
PREFORK, THREADS = ("prefork", 2), ("threads", 4)


def redelivered(message):
    return message.delivery_info.get("redelivered", False)


def dies(channel, message):
    scripts = channel.lease.scripts
    scripts.call("renew", consumer="me", queues=["q"])
    scripts.client.zadd(f"{scripts.prefix}gm1:lease:q", {channel.lease.consumer: 0})
    assert scripts.call("reclaim", caller="me", silent=60_000, most=10, queues=["q"])[0] == 1


HAND_BACKS = {
    "reject": lambda channel, message: message.reject(requeue=True),
    "requeue": lambda channel, message: message.requeue(),
    "recover": lambda channel, message: channel.basic_recover(requeue=True),
    "a killed pool process": lambda channel, message: channel.lease.hand_back([message.delivery_tag], 2),
    "a process that ends": lambda channel, message: leases.hand_back_all(),
    "a dead worker": dies,
    "a result that is not stored": lambda channel, message: channel.qos.postpone_longer(message.delivery_tag, 0, 1),
}


@pytest.mark.parametrize("way", HAND_BACKS)
def test_a_message_that_was_handed_back_says_so(bench, channel, quiet, way):
    put(channel)
    first = channel.basic_get("q")
    assert not redelivered(first)
    HAND_BACKS[way](channel, first)
    for _ in range(2):
        again = until(lambda: channel.basic_get("q"))
        assert redelivered(again)
        again.requeue()


def test_a_plain_message_says_so_in_its_headers_and_a_task_does_not(bench, channel, quiet):
    for task in ({}, {"task": "t"}):
        put(channel, headers={"mine": 1, **task})
        message = channel.basic_get("q")
        assert message.headers == {"mine": 1, **task}
        message.requeue()
        message = channel.basic_get("q")
        assert message.headers == {"mine": 1, **(task or {"redelivered": True})}
        message.ack()


def test_so_does_one_of_a_closed_channel(bench, channel):
    put(channel)
    with bench.connect() as connection:
        connection.default_channel.basic_get("q")
    end_leases()
    with bench.connect() as connection:
        assert redelivered(connection.default_channel.basic_get("q"))


def test_one_that_nobody_has_seen_does_not(bench, channel, quiet):
    put(channel)
    message = channel.basic_get("q")
    quiet.hand_back([message.delivery_tag], unseen=True)
    message = channel.basic_get("q")
    assert not redelivered(message)
    channel.qos.postpone(message.delivery_tag, 0)
    message = channel.basic_get("q")
    assert not redelivered(message)
    message.requeue()
    message = channel.basic_get("q")
    quiet.hand_back([message.delivery_tag], unseen=True)
    assert redelivered(channel.basic_get("q"))


def test_one_that_was_not_due_does_not(bench, channel, quiet):
    due = (datetime.now(UTC) + timedelta(seconds=0.3)).isoformat()
    # As a stock sender leaves it on a list.
    message = channel.prepare_message("1", content_type="application/json", headers={"task": "t", "eta": due})
    message["properties"].update(delivery_tag="t", delivery_info={"exchange": "", "routing_key": "q"})
    bench.client.xadd(f"{bench.prefix}gm1:q:q:0", {"m": json.dumps(message)})
    assert channel.basic_get("q") is None
    assert not redelivered(until(lambda: channel.basic_get("q")))


def test_the_time_for_which_a_message_stays_hidden_doubles(bench, channel, quiet):
    put(channel)

    def hidden():
        message = channel.basic_get("q")
        channel.qos.postpone_longer(message.delivery_tag, 10, 30)
        ((place, due),) = bench.client.zrange(f"{bench.prefix}gm1:back:q", 0, -1, withscores=True)
        bench.client.zadd(f"{bench.prefix}gm1:back:q", {place: 0})
        now, _ = bench.client.time()
        return due / 1000 - now

    assert [hidden() for _ in range(4)] == pytest.approx([10, 20, 30, 30], abs=3)


@pytest.mark.parametrize(("pool", "slots"), [PREFORK, THREADS])
def test_a_task_that_rejects_its_first_delivery_runs_twice(bench, pool, slots):
    bench.worker(pool, slots)
    assert bench.ask("reject_first.delay(1).get(timeout=50)") == 1
    bench.ended()
    assert (bench.begun(), bench.done()) == ([1, 1], [1])


def test_a_task_that_succeeded_does_not_run_again(server, tmp_path):
    bench = DropIn(server.url, tmp_path, {"worker_deduplicate_successful_tasks": True})
    try:
        bench.send("mark.apply_async((1,), task_id='one'); mark.apply_async((2,), task_id='two')")
        bench.send("app.backend.store_result('one', 1, 'SUCCESS')")
        with bench.connect() as connection:
            channel = connection.default_channel
            messages = [channel.basic_get("q") for _ in range(2)]
            for message in messages:
                message.requeue()
        end_leases()
        bench.worker()
        bench.ended()
        assert bench.begun() == [2]
    finally:
        bench.close()
