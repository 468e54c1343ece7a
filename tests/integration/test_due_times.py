"""Due times: a message that waits on the server goes to a worker just ahead of its time, without a poll."""

import json
import statistics
import threading
from contextlib import suppress
from datetime import UTC, datetime, timedelta

import pytest

from gristmill.batches.ledger import Ledger
from gristmill.broker.messages import AHEAD_SECONDS
from tests.conftest import until
from tests.support.ledger import WORKER, heartbeat

#: Most seconds that a message comes after its time, in the median. A reader that looks once a second has half a second.
#: `python -m benchmarks.countdowns` has the figure of an idle machine.
LATE_SECONDS = 0.1


def put(channel, seconds):
    """Put a message that is due in so many seconds."""
    eta = (datetime.now(UTC) + timedelta(seconds=seconds)).isoformat()
    message = channel.prepare_message(
        json.dumps(1), content_type="application/json", headers={"task": "t", "id": "one", "eta": eta}
    )
    channel.basic_publish(message, "", "q")


class Reader:
    """Waits for messages in a thread, without an event loop, and notes by how many seconds each is late."""

    def __init__(self, connection):
        self.late = []
        self._connection, self._over = connection, threading.Event()
        self._thread = threading.Thread(target=self._read)
        self._thread.start()

    def _note(self, _, message):
        self.late.append((datetime.now(UTC) - datetime.fromisoformat(message.headers["eta"])).total_seconds())
        message.ack()

    def _read(self):
        with self._connection, self._connection.channel() as channel:
            queue = self._connection.SimpleQueue("q", channel=channel).queue
            with self._connection.Consumer(queue, channel, callbacks=[self._note]):
                while not self._over.is_set():
                    with suppress(TimeoutError):
                        self._connection.drain_events(timeout=0.5)

    def wait(self, number):
        until(lambda: len(self.late) == number, what="the messages")
        return statistics.median(self.late)

    def close(self):
        self._over.set()
        self._thread.join()


@pytest.fixture
def reader(bench, channel):
    """A reader whose blocking read is on its way."""
    reader = Reader(bench.connect())
    until(lambda: "xreadgroup" in {client["cmd"] for client in bench.client.client_list()}, what="a blocking read")
    yield reader
    reader.close()


def alarm(bench):
    """The key of the queue's alarms."""
    return f"{bench.prefix}gm1:q:q:alarm"


def test_each_new_nearest_message_wakes_a_reader_that_waits(bench, channel, reader):
    # Each is due before those that were put before it, all within the time of one blocking read.
    for number in range(12):
        put(channel, 0.9 - 0.06 * number)
    assert reader.wait(12) < LATE_SECONDS
    # The server's clock counts milliseconds: a message that comes at its time may come two too early.
    assert -AHEAD_SECONDS - 0.002 < min(reader.late) < -0.005
    until(lambda: bench.standing() == 0)


@pytest.mark.parametrize("pool", ["threads", "prefork", "solo"])
def test_a_task_begins_at_its_time_and_not_before(bench, pool):
    bench.worker(pool, 2)
    bench.send(
        "from datetime import datetime, UTC\n"
        "for number in range(1, 21):\n"
        "    at = time.time() + 0.07 * number\n"
        "    be_due.apply_async((at,), eta=datetime.fromtimestamp(at, UTC))"
    )
    until(lambda: bench.client.llen(bench.prefix + "late") == 20, 60)
    assert min(float(late) for late in bench.client.lrange(bench.prefix + "late", 0, -1)) >= 0
    until(lambda: bench.standing() == 0)


def test_a_message_that_is_due_at_once_wakes_too(channel, reader):
    for number in range(5):
        put(channel, AHEAD_SECONDS + 0.001)
        reader.wait(number + 1)
    assert statistics.median(reader.late) < LATE_SECONDS


def test_one_that_was_hidden_wakes_a_reader_as_well(bench, channel, reader):
    """As a message of a stock sender is, which another worker has taken before its time."""
    eta = (datetime.now(UTC) + timedelta(seconds=0.3)).isoformat()
    text = {"body": "1", "headers": {"task": "t", "eta": eta}, "content-type": "application/json", "properties": {}}
    bench.client.xadd(f"{bench.prefix}gm1:q:q:0", {"m": json.dumps(text)})
    assert reader.wait(1) < LATE_SECONDS


def test_a_process_without_room_wakes_others(bench, channel):
    put(channel, 0.2)
    assert bench.standing() == 0
    channel.lease.wake_in(0.2, ["q"])
    until(lambda: bench.standing() == 1)
    assert bench.client.exists(f"{bench.prefix}gm1:later:q") == 0


def test_alarms_leave_nothing_behind(bench, channel, reader, caplog):
    for number in range(4):
        put(channel, 0.2 - 0.04 * number)
    reader.wait(4)
    # The take after an alarm acknowledges it.
    until(lambda: bench.client.xpending(alarm(bench), "gm")["pending"] == 0)
    assert bench.client.xlen(alarm(bench)) == 0
    assert "gristmill.broker.acks" not in {record.name for record in caplog.records}, "none was refused"


def test_what_is_due_later_rings_no_alarm(bench, channel):
    for seconds in (60, 30, 3600):
        put(channel, seconds)
    assert bench.client.exists(alarm(bench)) == 0
    for _ in range(3):
        put(channel, 0.5)
    assert bench.client.xlen(alarm(bench)) == 1
    assert channel._size("q") == 0
    channel.scripts.call("purge", queue="q", whole=True)
    assert not list(bench.client.scan_iter(f"{bench.prefix}gm1:q:*"))


def test_an_alarm_that_its_reader_does_not_heed_wakes_another(bench, channel, ledger):
    """A reader that is stopped has it: the heartbeat of any worker of the queue rings again."""
    key = alarm(bench)
    heartbeats = Ledger(bench.client, ledger.settings.model_copy(update={"prefix": bench.prefix}))

    def heard(reader):
        heartbeats.heartbeat(WORKER, heartbeat(queue="q"), [])
        return [identity for _, entries in bench.client.xreadgroup("gm", reader, {key: ">"}) for identity, _ in entries]

    bench.client.xgroup_create(key, "gm", mkstream=True)
    put(channel, 5)
    (first,) = heard("stopped")
    assert heard("other") == [], "it may take yet"
    bench.client.xclaim(key, "gm", "stopped", 0, [first], idle=600, justid=True)
    (second,) = heard("other")
    assert second != first
    assert heard("third") == [], "the other may take yet"
    bench.client.xack(key, "gm", second)
    bench.client.xdel(key, second)
    assert heard("third") == [], "it was heard"
