"""The registry of workers: each counts by its id, and one that was killed gives way to its successor."""

import pytest

from gristmill.broker.scripts import TransportScripts
from gristmill.fleet.announcement import Announcement, read_announcements
from gristmill.fleet.registry import REPLACED_SECONDS, WorkerRegistry, namesakes, shared_name
from gristmill.fleet.worker_id import node_name, worker_id
from gristmill.worker.health import ailments

FIRST, SECOND, OTHER = "cpu@a/00000001", "cpu@a/00000002", "cpu@b/00000003"


def describe(pid, slots=2):
    return {
        "host": "a",
        "pid": pid,
        "queue": "cpu",
        "pool": "prefork",
        "slots": slots,
        "busy": 1,
        "items": 0,
        "rate": 0.0,
    }


@pytest.fixture
def registry(ledger):
    for pid, worker in enumerate((FIRST, SECOND, OTHER), 1):
        ledger.heartbeat(worker, describe(pid), [])
    return WorkerRegistry(ledger.client, ledger.settings)


def silence(ledger, worker, seconds):
    """Let the last heartbeat of a worker be so many seconds ago."""
    ledger.client.zincrby(ledger.settings.key("workers"), -1000 * seconds, worker)


def ids(registry):
    return [worker.id for worker in registry.workers()]


def test_two_workers_of_one_name_count_as_two(ledger, registry):
    registry.announce(FIRST, {"nap": Announcement("f")})
    workers = registry.workers()
    assert [(worker.id, worker.name, worker.pid) for worker in workers] == [
        (FIRST, "cpu@a", 1),
        (SECOND, "cpu@a", 2),
        (OTHER, "cpu@b", 3),
    ]
    assert [worker.tasks for worker in workers] == [{"nap": "f"}, {}, {}]
    assert ledger.client.hget(ledger.settings.key("slots"), "cpu") == "6"
    assert {name: [worker.pid for worker in several] for name, several in namesakes(workers).items()} == {
        "cpu@a": [1, 2]
    }
    text = shared_name("cpu@a", workers[:2])
    assert "cpu@a" in text
    assert "1 and 2" in text


def test_one_that_was_killed_gives_way_to_its_successor_at_once(ledger, registry):
    silence(ledger, FIRST, REPLACED_SECONDS + 1)
    assert ids(registry) == [SECOND, OTHER]
    assert namesakes(registry.workers()) == {}


def test_a_silent_worker_is_shown_while_nobody_has_its_name(ledger, registry):
    silence(ledger, OTHER, REPLACED_SECONDS + 1)
    assert ids(registry) == [FIRST, SECOND, OTHER]
    silence(ledger, OTHER, 10)
    assert ids(registry) == [FIRST, SECOND]


def test_both_of_one_name_are_shown_when_both_are_silent_a_little(ledger, registry):
    for worker in (FIRST, SECOND):
        silence(ledger, worker, REPLACED_SECONDS - 1)
    assert ids(registry) == [FIRST, SECOND, OTHER]


def test_one_that_leaves_takes_nothing_of_its_namesake(ledger, registry):
    registry.announce(SECOND, {"nap": Announcement("f")})
    registry.leave(FIRST)
    assert ids(registry) == [SECOND, OTHER]
    assert registry.workers()[0].tasks == {"nap": "f"}


def test_health_is_that_of_the_workers_of_a_name(ledger, registry):
    lease = ledger.settings.key("lease:cpu")
    now = int(ledger.client.time()[0]) * 1000
    ledger.client.zadd(lease, {"a:1:x": now})
    assert list(ailments(ledger.client, ledger.settings, "a")) == []
    silence(ledger, FIRST, 60)
    assert list(ailments(ledger.client, ledger.settings, "a", "cpu")) == []
    silence(ledger, SECOND, 60)
    (line,) = ailments(ledger.client, ledger.settings, "a", "cpu")
    assert "cpu" in line
    assert "60 s" in line
    (line,) = ailments(ledger.client, ledger.settings, "c")
    assert "c" in line
    assert len(list(ailments(ledger.client, ledger.settings, "b", "io"))) == 2


def test_an_id_has_the_node_name_and_a_part_of_its_own():
    assert node_name(worker_id("cpu@a")) == "cpu@a"
    assert worker_id("cpu@a") == worker_id("cpu@a") != "cpu@a"
    assert node_name("cpu@a") == "cpu@a", "as older workers have"


def test_a_heartbeat_with_fields_missing_is_a_worker_all_the_same(ledger):
    ledger.heartbeat("cpu@older/1", {"queue": "cpu", "slots": 2}, [])
    (worker,) = WorkerRegistry(ledger.client, ledger.settings).workers()
    assert (worker.queue, worker.slots, worker.busy, worker.host) == ("cpu", 2, 0, "")


NONSENSE = ["", "{", "null", "[1]", '"cpu"', "[" * 9999]


@pytest.mark.parametrize("text", [*NONSENSE, '{"slots": "many", "queue": 7}', '{"name": "x", "id": 3, "later": [1]}'])
def test_a_malformed_heartbeat_harms_its_own_worker_only(ledger, registry, text):
    ledger.client.hset(ledger.settings.key("heartbeats"), FIRST, text)
    first, second, _ = registry.workers()
    assert (first.id, first.name, first.queue, first.slots) == (FIRST, "cpu@a", "", 0)
    assert (second.queue, second.slots) == ("cpu", 2)


@pytest.mark.parametrize("text", NONSENSE)
def test_a_malformed_announcement_harms_its_own_worker_only(ledger, registry, text):
    registry.announce(SECOND, {"nap": Announcement("f")})
    ledger.client.hset(ledger.settings.key("announced"), FIRST, text)
    first, second, _ = registry.workers()
    assert (first.tasks, second.tasks) == ({}, {"nap": "f"})
    assert registry.announcements(FIRST) == {}


def test_a_task_that_is_announced_malformed_hides_no_other():
    text = '{"odd": 7, "odder": {"kind": "cpu"}, "older": "f", "nap": {"fingerprint": "g", "retries": "x", "new": 1}}'
    assert read_announcements(text) == {"older": Announcement("f"), "nap": Announcement("g")}


def test_a_heartbeat_says_whether_the_fleet_lacks_a_watcher(ledger):
    """So nobody else has to ask; a worker that is alone needs none."""
    scripts = TransportScripts(ledger.client, ledger.settings.prefix)

    def enlist(consumer):
        return scripts.call("enlist", consumer=consumer, worker="", problem="", anew=False, queues=["q"])

    def is_lacking():
        return ledger.heartbeat(FIRST, describe(1), []).has_seat

    assert not is_lacking()
    assert (enlist("a"), is_lacking()) == ([0, 1], False)
    assert (enlist("b"), is_lacking()) == ([1, 2], True)
    assert (enlist("a"), is_lacking()) == ([1, 2], False)
