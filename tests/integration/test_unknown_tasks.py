"""Messages of tasks that no worker knows, on a real server: named, waited for, and dead letters in the end."""

import json

import pytest

from gristmill.broker.dead_letters import DeadLetters
from gristmill.broker.unknown_tasks import unknown_tasks
from gristmill.config.settings import load
from gristmill.config.settings import settings as settings_of
from tests.conftest import until

DAY = 86_400


@pytest.fixture
def settings(bench):
    return load({"GRISTMILL_PREFIX": bench.prefix, "GRISTMILL_LEASE_SECONDS": "20"})


def put(channel, task, queue="q"):
    message = channel.prepare_message(
        "[[], {}, {}]", content_type="application/json", headers={"id": "1", "task": task}
    )
    channel.basic_publish(message, "", queue)


def refuse(channel, task):
    channel.qos.refuse(channel.basic_get("q").delivery_tag, task)


def age(bench, seconds):
    """Let all messages have been refused for the first time so long ago, and be due now."""
    key, back = f"{bench.prefix}gm1:unknown_tasks:q", f"{bench.prefix}gm1:back:q"
    for place, note in bench.client.hgetall(key).items():
        since, _, task = note.partition(" ")
        bench.client.hset(key, place, f"{int(since) - 1000 * seconds} {task}")
        bench.client.zadd(back, {place: 0})


def hidden(bench):
    """For how many seconds the messages are hidden."""
    now = int(bench.client.time()[0])
    return [due / 1000 - now for _, due in bench.client.zrange(f"{bench.prefix}gm1:back:q", 0, -1, withscores=True)]


def test_task_number_and_age_are_named(bench, channel, settings):
    for task in ("later", "later", "other"):
        put(channel, task)
        refuse(channel, task)
    age(bench, 100)
    tasks = unknown_tasks(bench.client, settings)
    assert [(each.queue, each.task, each.what, each.number) for each in tasks] == [
        ("q", "later", "messages", 2),
        ("q", "other", "messages", 1),
    ]
    assert all(100 <= each.seconds < 160 for each in tasks)
    channel.scripts.call("know", consumer=channel.lease.consumer, tasks=["a", "later"])
    assert [each.task for each in unknown_tasks(bench.client, settings)] == ["other"]


def test_it_is_hidden_for_longer_the_longer_it_has_waited(bench, channel):
    put(channel, "later")
    refuse(channel, "later")
    assert 0 < hidden(bench)[0] <= 2
    for seconds, least, most in ((300, 28, 33), (3600, 58, 62)):
        age(bench, seconds)
        refuse(channel, "later")
        assert least < hidden(bench)[0] < most


def test_after_a_day_it_is_a_dead_letter_with_its_reason(bench, channel, settings):
    put(channel, "later")
    refuse(channel, "later")
    age(bench, DAY - 60)
    refuse(channel, "later")
    letters = DeadLetters(bench.client, settings)
    assert len(letters) == 0
    age(bench, 60)
    refuse(channel, "later")
    (letter,) = letters
    assert (letter.task, letter.deaths) == ("later", 0)
    assert "no worker knows the task later" in letter.reason
    assert unknown_tasks(bench.client, settings) == []
    letters.requeue_all()
    refuse(channel, "later")
    assert len(letters) == 0, "its time begins anew"


def test_never_while_a_live_worker_of_the_queue_knows_it(bench, channel, settings):
    lease, letters = channel.lease, DeadLetters(bench.client, settings)
    lease.scripts.call("renew", consumer="able", queues=["q"])
    lease.scripts.call("know", consumer="able", tasks=["later"])
    put(channel, "later")
    refuse(channel, "later")
    age(bench, 2 * DAY)
    refuse(channel, "later")
    assert len(letters) == 0
    bench.client.zadd(f"{bench.prefix}gm1:lease:q", {"able": 0})
    age(bench, 1)
    refuse(channel, "later")
    assert len(letters) == 1


def test_what_a_dead_worker_knew_is_forgotten(bench, channel):
    call = channel.lease.scripts.call
    call("renew", consumer="gone", queues=["q"])
    call("know", consumer="gone", tasks=["later"])
    bench.client.zadd(f"{bench.prefix}gm1:lease:q", {"gone": 0})
    call("renew", consumer="me", queues=["q"])
    call("reclaim", caller="me", silent=1000, most=10, queues=["q"])
    assert not bench.client.exists(f"{bench.prefix}gm1:tasks_of")


def test_a_worker_gives_up_on_it_in_its_time_and_says_so(bench, settings):
    bench.environ["GRISTMILL_UNKNOWN_TASK_SECONDS"] = "2"
    bench.send("app.send_task('nobody.knows', queue='q'); mark.delay(1)")
    bench.worker("threads", 1)
    until(lambda: len(bench.dead()) == 1, what="a dead letter")
    assert bench.done() == [1]
    assert json.loads(bench.dead()[0]["message"])["headers"]["task"] == "nobody.knows"
    assert bench.log().count("does not know the task") == 1
    assert {"transport_app" in text for text in bench.client.hvals(f"{bench.prefix}gm1:tasks_of")} == {True}
    assert settings_of().unknown_task_seconds == DAY
