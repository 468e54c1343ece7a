"""What the transport asks of a server, each part with the scripts that it runs."""

import json
from datetime import UTC, datetime, timedelta

import pytest

from gristmill.broker.dead_letters import DeadLetters
from gristmill.broker.scripts import as_text
from gristmill.broker.unknown_tasks import unknown_tasks
from gristmill.fleet.watcher import Watcher
from tests.conftest import until


def takes_and_acknowledges(user):
    for number, level in ((2, 5), (0, None), (1, 1)):
        user.put(number, priority=level)
    assert user.size() == 3
    messages = [user.get() for _ in range(3)]
    assert [message.payload for message in messages] == [0, 1, 2]
    assert (user.get(), user.size(), user.standing()) == (None, 0, 3)
    for message in messages:
        message.ack()
    assert user.standing() == 0


def receives_what_comes_while_it_waits(user):
    messages = []
    with user.connection.channel() as channel:
        queue = user.connection.Consumer(
            channel=channel, queues=[], callbacks=[lambda body, message: messages.append(message)]
        )
        queue.add_queue(channel.connection.client.SimpleQueue("q").queue)
        queue.consume()
        with pytest.raises(TimeoutError):
            user.connection.drain_events(timeout=1.3)
        for number in range(3):
            user.put(number)
        while len(messages) < 3:
            user.connection.drain_events(timeout=5)
        assert sorted(message.payload for message in messages) == [0, 1, 2]
        for message in messages:
            message.ack()
    assert user.standing() == 0


def hands_back_in_place(user):
    for number in range(3):
        user.put(number)
    first = user.get()
    first.requeue()
    messages = [user.get() for _ in range(3)]
    assert [message.payload for message in messages] == [0, 1, 2]
    for message in messages:
        message.ack()


def puts_a_lot_once(user):
    messages = [json.dumps({"n": number}) for number in range(3)]
    for sender, number in (("one", 7), ("one", 7), ("one", 6), ("one", 8), ("two", 1), ("", 0), ("", 0)):
        lot = {"sender": sender, "number": number, "messages": messages}
        assert user.call("put", queue="lots", level=4, wait=0, **lot) is None
    texts = [fields["m"] for _, fields in user.client.xrange(f"{user.prefix}gm1:q:lots:4")]
    assert texts == messages * 5
    # A sender that puts on two queues.
    user.call("put", queue="other", level=4, wait=0, sender="one", number=8, messages=messages)
    assert user.client.xlen(f"{user.prefix}gm1:q:other:4") == 3
    assert 0 < user.client.pttl(f"{user.prefix}gm1:answer:one/lots") <= 600_000


def waits_until_a_message_is_due(user):
    due = (datetime.now(UTC) + timedelta(seconds=1)).isoformat()
    user.put(1, headers={"task": "t", "id": "one", "eta": due})
    with user.connection.Producer() as producer, producer.batch(10):
        producer.publish(2, routing_key="q", headers={"task": "t", "id": "two", "eta": due})
    assert (user.size(), user.get()) == (0, None)
    assert 0 < user.call("wake", queues=["none", "q"]) <= 1000
    user.call("revoke", remember=60_000, ids=["two"], stamps=["customer\0x"])
    messages = [until(user.get), until(user.get)]
    assert sorted(message.payload for message in messages) == [1, 2]
    assert user.client.zscore(f"{user.prefix}gm1:revoked", "two")
    assert user.client.zscore(f"{user.prefix}gm1:revoked_stamps", "customer\0x")
    messages[0].channel.qos.postpone(messages[0].delivery_tag, 1)
    messages[1].ack()
    assert (user.size(), user.call("wake", queues=["none"])) == (0, -1)
    until(lambda: user.call("wake", queues=["q"]) == -1)
    assert user.size() == 1
    user.get().ack()


def buries_and_purges(user):
    for number in range(3):
        user.put(number)
    message = user.get()
    message.channel.qos.bury(message.delivery_tag, "a reason")
    assert [dead_letter.reason for dead_letter in DeadLetters(user.client, user.ledger.settings)] == ["a reason"]
    assert DeadLetters(user.client, user.ledger.settings).drop_all() == 1
    message = user.get()
    assert user.channel.queue_purge("q") == 1
    assert user.standing() == 1
    message.ack()


def refuses_what_it_does_not_know_and_keeps_what_expires(user):
    user.put(1, headers={"id": "one", "task": "later"})
    user.call("know", consumer=user.channel.lease.consumer, tasks=["t"])
    user.channel.qos.refuse(user.get().delivery_tag, "later")
    (task,) = unknown_tasks(user.client, user.ledger.settings)
    assert (task.queue, task.task, task.number) == ("q", "later", 1)
    assert user.channel.queue_purge("q") == 1
    assert unknown_tasks(user.client, user.ledger.settings) == []
    user.channel.queue_declare("brief", arguments={"x-expires": 60_000})
    user.channel.basic_publish(user.channel.prepare_message("1"), "", "brief")
    assert 0 < user.client.pttl(f"{user.prefix}gm1:q:brief:0") <= 60_000
    user.channel.queue_delete("brief")


def takes_back_from_the_dead(user):
    user.put(1)
    user.call("take", consumer="ghost", credit=1, create=False, queues=["q"], tags=[])
    assert user.call("renew", consumer="ghost", queues=["q"]) >= 0
    assert user.call("unbroken", lease=60_000) >= 0
    assert len(user.call("held", consumer="ghost", idle=0, queues=["q"])) == 1
    user.call("renew", consumer="me", queues=["q"])
    user.client.zadd(f"{user.prefix}gm1:lease:q", {"ghost": 0})
    number, *_ = user.call("reclaim", caller="me", silent=60_000, most=10, queues=["q"])
    assert number == 1
    message = user.get()
    assert message.payload == 1
    assert message.properties["delivery_info"]["redelivered"]
    message.ack()
    user.channel.queue_delete("q")
    assert not user.channel._has_queue("q")


def moves_what_stock_has_put_on_lists(user):
    for number in range(3):
        user.client.lpush(f"{user.prefix}q", json.dumps({"body": str(number), "properties": {"delivery_tag": "t"}}))
    user.channel.lease.with_lists.add("q")
    user.channel.lease.move_lists()
    messages = [user.get() for _ in range(3)]
    assert [message.body for message in messages] == [b"0", b"1", b"2"]
    for message in messages:
        message.ack()
    assert not user.client.exists(f"{user.prefix}q")


def watches_over_the_fleet(user):
    """A worker whose subscription is gone is handed on; over RESP2 one connection cannot subscribe and call."""
    lease = user.channel.lease
    lease.queues.add("q")
    watcher = Watcher(lease, "w@here/1")
    watcher.subscription.hold()
    watcher.enlist()
    user.put(1)
    user.call("enlist", consumer="dead:1", worker="w@there/1", problem="", anew=True, queues=["q"])
    user.call("take", consumer="dead:1", credit=1, create=True, queues=["q"], tags=[])
    now_ms, *flat = user.call("subscribers")
    subscribers = dict(zip(flat[::2], flat[1::2], strict=True))
    assert {as_text(consumer): count for consumer, count in subscribers.items()} == {
        lease.consumer: int(not watcher.subscription.problem),
        "dead:1": 0,
    }
    witnesses = [] if watcher.subscription.problem else [lease.consumer]
    assert [as_text(consumer) for consumer in user.call("witnessed")] == witnesses
    assert watcher._hand_on("dead:1", now_ms + 1000)
    message = user.get()
    assert message.returns == 1
    message.ack()
