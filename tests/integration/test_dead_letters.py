"""Dead letters on a real server: nothing that is given up on is lost, and nothing hostile ends a worker."""

import json
import tracemalloc

import pytest
from redis import Redis

from gristmill.broker import qos
from gristmill.broker.dead_letters import DeadLetters
from gristmill.config.settings import load
from tests.conftest import until
from tests.support.hostile import ESCAPE, entries, message

LATE = """
from tests.support.transport_app import app, say


@app.task(name="late")
def late(number):
    say("done", number)
"""


@pytest.fixture
def dead_letters(bench):
    return DeadLetters(bench.client, load({"GRISTMILL_PREFIX": bench.prefix}))


def put(bench, *texts, queue="q"):
    with Redis.from_url(bench.url) as client, client.pipeline(transaction=False) as pipe:
        for text in texts:
            pipe.xadd(f"{bench.prefix}gm1:q:{queue}:0", {"m": text})
        pipe.execute()


def counted(bench, dead_letters):
    """The size as the fields of all letters give it."""
    return sum(dead_letter.bytes for dead_letter in dead_letters) == dead_letters.size


def test_what_no_worker_can_run_is_kept_and_the_worker_goes_on(bench, dead_letters):
    texts = list(entries())
    put(bench, *texts)
    bench.send("mark.delay(7)")
    worker = bench.worker("threads", 4, 4)
    until(lambda: bench.done() and bench.standing() == 0, 60)
    assert worker.poll() is None
    assert bench.done() == [7], "none of them ran"
    assert len(dead_letters) == len(texts), "lost = 0"
    assert counted(bench, dead_letters)
    with Redis.from_url(bench.url) as client:
        kept = [fields[b"message"] for _, fields in client.xrange(f"{bench.prefix}gm1:dead")]
    assert sorted(kept) == sorted(texts), "each is kept as it came"
    assert "\x1b" not in bench.log()
    assert all(dead_letter.reason and dead_letter.worker and dead_letter.queue == "q" for dead_letter in dead_letters)


def test_what_a_thread_cannot_end_gives_its_slot_back(bench, dead_letters):
    put(bench, *[json.dumps(message(body="[[1], {}, {}]", headers={"chain": [None]}))] * 3)
    worker = bench.worker("threads", 2)
    bench.send("for n in range(10, 20): mark.delay(n)")
    until(lambda: set(bench.done()) >= set(range(10, 20)) and bench.standing() == 0, 60)
    assert worker.poll() is None
    assert [dead_letter.reason.partition(":")[0] for dead_letter in dead_letters] == ["Celery could not end it"] * 3


def test_an_entry_without_a_message_is_kept(bench, dead_letters):
    bench.worker()
    bench.send("mark.delay(1)")
    until(lambda: bench.done() == [1], 60)
    # By now the worker waits in a blocking read.
    bench.client.xadd(f"{bench.prefix}gm1:q:q:0", {"x": "y"})
    bench.send("mark.delay(2)")
    until(lambda: 2 in bench.done() and bench.standing() == 0)
    (dead_letter,) = dead_letters
    assert (dead_letter.task, dead_letter.task_id, dead_letter.deaths) == (None, None, 0)


def test_a_letter_tells_what_it_is_and_a_requeued_one_is_as_it_was_sent(bench, channel, dead_letters):
    sent = json.dumps(message(headers={"task": "photos.shrink", "id": "one"}))
    bench.client.xadd(f"{bench.prefix}gm1:q:q:3", {"m": sent})
    channel.basic_get("q").reject(requeue=True)
    tag = channel.basic_get("q").delivery_tag
    bench.client.hset(f"{bench.prefix}gm1:suspects:q", "3/" + tag.split("/")[1], "2")
    assert channel.qos.bury(tag, "it ended its process", 3)
    assert bench.standing() == 0
    assert not bench.client.exists(f"{bench.prefix}gm1:suspects:q")
    (dead_letter,) = dead_letters
    assert (dead_letter.queue, dead_letter.priority, dead_letter.deaths, dead_letter.reason) == (
        "q",
        3,
        3,
        "it ended its process",
    )
    assert (dead_letter.task, dead_letter.task_id) == ("photos.shrink", "one")
    assert dead_letter.worker == channel.lease.consumer
    assert dead_letter.bytes > len(sent)
    assert abs(dead_letter.at - bench.client.time()[0]) < 60

    assert dead_letters.requeue(dead_letter.id)
    assert (len(dead_letters), dead_letters.size, bench.standing()) == (0, 0, 1)
    assert not dead_letters.requeue(dead_letter.id)
    assert not dead_letters.drop(dead_letter.id)
    ((_, fields),) = bench.client.xrange(f"{bench.prefix}gm1:q:q:3")
    assert fields == {"m": sent}
    again = channel.basic_get("q")
    assert again.returns == 0
    again.ack()


def test_a_requeued_letter_runs(bench, channel, dead_letters):
    bench.send("mark.delay(1); mark.delay(2)")
    for _ in range(2):
        assert channel.qos.bury(channel.basic_get("q").delivery_tag, "tried")
    assert dead_letters.requeue_all() == 2
    bench.worker()
    until(lambda: bench.done() == [1, 2] and bench.standing() == 0, 60)
    assert len(dead_letters) == 0


def test_with_no_room_for_it_a_message_stays_and_an_alarm_is_said(bench, channel, dead_letters, monkeypatch, caplog):
    # The same text twice: neither may stand for the other.
    monkeypatch.setattr(qos, "settings", lambda: load({"GRISTMILL_DEAD_LETTER_BYTES": "250"}))
    monkeypatch.setattr(qos, "FULL_SECONDS", 1.0)
    put(bench, b"{", b"{", b"{")
    with caplog.at_level("ERROR"):
        assert [channel.basic_get("q") for _ in range(3)] == [None] * 3
    assert (len(dead_letters), bench.standing()) == (1, 2)
    assert dead_letters.size <= 250
    assert channel._size("q") == 0, "they wait for their time"
    alarms = [record.getMessage() for record in caplog.records if "no room" in record.getMessage()]
    assert len(alarms) == 2
    for words in ("gristmill dead list", "gristmill dead delete", "GRISTMILL_DEAD_LETTER_BYTES", "queue q"):
        assert words in alarms[0]

    # Still no room a second later; then some.
    until(lambda: channel.basic_get("q") or len(caplog.records) >= 5, what="another look")
    assert (len(dead_letters), bench.standing()) == (1, 2)
    for rest in (1, 0):
        assert dead_letters.drop_all() == 1
        until(lambda: channel.basic_get("q") or len(dead_letters), what="room")
        assert bench.standing() == rest
    assert dead_letters.drop_all() == 1
    assert (len(dead_letters), dead_letters.size) == (0, 0)


def test_with_no_room_for_it_a_suspect_stays_one(bench, channel, dead_letters, monkeypatch):
    monkeypatch.setattr(qos, "settings", lambda: load({"GRISTMILL_DEAD_LETTER_BYTES": "1"}))
    monkeypatch.setattr(qos, "FULL_SECONDS", 0.1)
    put(bench, json.dumps(message()))
    for _ in range(2):
        taken = channel.basic_get("q")
        channel.lease.hand_back([taken.delivery_tag], 1)
    taken = channel.basic_get("q")
    assert not channel.qos.bury(taken.delivery_tag, "it killed", 3)
    again = until(lambda: channel.basic_get("q"), what="its time")
    assert (again.returns, again.headers) == (2, taken.headers)
    assert (len(dead_letters), bench.standing()) == (0, 1)


def test_a_purge_takes_what_waits_for_another_worker_too(bench, channel):
    put(bench, json.dumps(message()))
    channel.qos.postpone(channel.basic_get("q").delivery_tag, 60)
    assert channel._size("q") == 0
    assert channel.queue_purge("q") == 1
    assert bench.standing() == 0


def test_an_unknown_task_waits_for_a_worker_that_knows_it(bench, dead_letters, tmp_path):
    (tmp_path / "late_app.py").write_text(LATE)
    bench.environ |= {"PYTHONPATH": str(tmp_path)}
    bench.send("for n in range(20): app.send_task('late', (n,), queue='q')")
    bench.send("mark.delay(100)")
    bench.worker("threads", 2, 1)
    until(lambda: bench.done() == [100], 60, "a task behind those that nobody knows")
    until(lambda: bench.client.hlen(f"{bench.prefix}gm1:unknown_tasks:q") == 20, what="a look at each")
    until(lambda: bench.standing() == 20, what="the acknowledgement of the other")
    assert len(dead_letters) == 0
    assert bench.log().count("does not know the task") == 1, "a line for a task, not one for a message"
    bench.worker("threads", 2, 1, "-I", "late_app")
    until(lambda: bench.standing() == 0, 60)
    assert bench.done() == [*range(20), 100]
    assert not bench.client.exists(f"{bench.prefix}gm1:unknown_tasks:q")
    assert len(dead_letters) == 0


def test_10_000_letters_are_read_and_requeued_with_flat_memory(bench, dead_letters):
    text = json.dumps(message(headers={"task": ESCAPE}))
    fields = {"queue": "q", "level": "0", "reason": "r", "deaths": "3", "worker": "w", "at": "1", "message": text}
    size = sum(len(name) + len(value.encode()) for name, value in fields.items())
    with bench.client.pipeline(transaction=False) as pipe:
        for _ in range(10_000):
            pipe.xadd(f"{bench.prefix}gm1:dead", fields)
        pipe.incrby(f"{bench.prefix}gm1:dead:bytes", 10_000 * size)
        pipe.execute()
    assert next(iter(dead_letters)).bytes == size
    tracemalloc.start()
    try:
        assert sum(dead_letter.task == ESCAPE for dead_letter in dead_letters) == 10_000
        first = dead_letters.requeue_all()
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert peak < 5_000_000, "a page, not all"
    assert (first, len(dead_letters), dead_letters.size, bench.standing()) == (10_000, 0, 0, 10_000)


def test_what_dies_again_meanwhile_is_not_requeued_again(bench, channel, dead_letters, monkeypatch):
    put(bench, b"{", b"[")
    assert [channel.basic_get("q") for _ in range(2)] == [None] * 2
    call = dead_letters._scripts.call

    def call_and_bury(name, **arguments):
        done = call(name, **arguments)
        assert channel.basic_get("q") is None
        return done

    monkeypatch.setattr("gristmill.broker.dead_letters.CALL_MOST", 1)
    monkeypatch.setattr(dead_letters._scripts, "call", call_and_bury)
    assert dead_letters.requeue_all() == 2
    assert (len(dead_letters), bench.standing()) == (2, 0)
