"""The watch over the fleet, on a real server: who holds no subscription any more is dead, and nobody else is."""

import json
import threading
import time
from math import inf

import pytest
from redis import Redis

from gristmill.batches.ledger import Ledger
from gristmill.cli import doctor
from gristmill.config.settings import load, settings
from gristmill.fleet.absences import UNSEEN_SECONDS
from gristmill.fleet.registry import unwatched_workers
from gristmill.fleet.watcher import Watcher
from tests.conftest import until


def begin(watcher):
    watcher.begin()
    until(lambda: watcher._look in watcher.lease.heartbeat.calls, what="a watch")


def looks(watcher, number=2):
    """Let the watcher look so many times more."""
    connections = []
    real = watcher._subscribers
    watcher._subscribers = lambda: connections.append(1) or real()
    until(lambda: len(connections) >= number, what="looks")


def put(bench, number):
    for i in range(number):
        bench.client.xadd(f"{bench.prefix}gm1:q:q:0", {"m": json.dumps({"n": i})})


def handed_back(bench):
    return bench.client.zcard(f"{bench.prefix}gm1:back:q")


class TestWatching:
    def test_what_the_dead_held_is_handed_back_and_they_are_forgotten(self, bench, others, watcher):
        put(bench, 1200)
        others.enlist("dead:1", "living:2")
        others.take("dead:1", 1100)
        others.take("living:2", 1)
        begin(watcher)
        looks(watcher)
        others.end("dead:1")
        # In several calls.
        until(lambda: "dead:1" not in others.left(bench))
        assert handed_back(bench) == 1100
        assert others.left(bench) == {"living:2", watcher.lease.consumer}
        assert bench.client.zscore(f"{bench.prefix}gm1:lease:q", "dead:1") is None
        assert set(bench.client.hvals(f"{bench.prefix}gm1:suspects:q")) == {"1"}

    def test_what_nobody_saw_alive_is_left_to_the_lease(self, bench, others, watcher):
        put(bench, 1)
        others.scripts.call("enlist", consumer="dead:1", worker="", problem="", anew=True, queues=["q"])
        others.take("dead:1")
        begin(watcher)
        looks(watcher, 14)
        assert handed_back(bench) == 0

    def test_another_worker_learns_the_due_time_that_the_dead_one_knew(self, bench, others, watcher):
        others.enlist("dead:1")
        others.take("dead:1")
        bench.client.zadd(f"{bench.prefix}gm1:later:q", {"0{}": 1000 * time.time() + 60_000})
        begin(watcher)
        looks(watcher)
        others.end("dead:1")
        until(lambda: "dead:1" not in others.left(bench))
        assert bench.client.xlen(f"{bench.prefix}gm1:q:q:alarm") == 1

    def test_a_new_watcher_learns_from_the_server_whom_it_has_never_seen(self, bench, others, watcher):
        """The only one that saw the dead worker alive died too, or has just been replaced."""
        put(bench, 1)
        others.enlist("dead:1")
        others.take("dead:1")
        others.end("dead:1")
        begun_at = time.monotonic()
        begin(watcher)
        until(lambda: handed_back(bench) == 1, 10)
        # Whoever lives has had the time to connect again.
        assert time.monotonic() - begun_at > UNSEEN_SECONDS
        assert "dead:1" not in others.left(bench)

    def test_it_finds_whoever_came_and_died_between_two_looks(self, bench, others, watcher):
        put(bench, 1)
        others.enlist("living:2")
        begin(watcher)
        looks(watcher)
        real, channel = watcher._subscribers, f"{bench.prefix}gm1:alive:dead:1"

        def come_and_go():
            if not bench.client.hexists(f"{bench.prefix}gm1:consumers", "dead:1") and not handed_back(bench):
                others.enlist("dead:1")
                others.take("dead:1")
                others.end("dead:1")
                until(lambda: bench.client.pubsub_numsub(channel) == [(channel, 0)])
            return real()

        watcher._subscribers = come_and_go
        until(lambda: handed_back(bench) == 1, 10)
        # Its own connection stood all the time, so it need not wait as long as after a break.
        assert not watcher._absences._unseen

    def test_what_another_run_of_the_server_saw_is_left_to_the_lease(self, bench, others, watcher):
        put(bench, 1)
        others.enlist("gone:1")
        others.take("gone:1")
        others.end("gone:1")
        consumers = f"{bench.prefix}gm1:consumers"
        entry = json.loads(bench.client.hget(consumers, "gone:1"))
        assert entry["run"]
        bench.client.hset(consumers, "gone:1", json.dumps({**entry, "run": "0" * 40 + "/" + "0" * 40}))
        begin(watcher)
        looks(watcher, 14)
        assert handed_back(bench) == 0

    @pytest.mark.parametrize("sign", ["take", "renewal", "heartbeat", "subscription"])
    def test_whoever_has_been_heard_of_since_lives(self, bench, others, watcher, sign):
        put(bench, 2)
        others.enlist("living:1", worker="w@there/1")
        others.take("living:1")
        since = watcher._scripts.call("subscribers")[0]
        others.end("living:1")
        until(lambda: watcher._scripts.call("subscribers")[0] > since + 1)
        if sign == "take":
            others.take("living:1")
        elif sign == "renewal":
            others.scripts.call("renew", consumer="living:1", queues=["q"])
        elif sign == "heartbeat":
            ledger = Ledger(bench.client, load({"GRISTMILL_PREFIX": bench.prefix}))
            ledger.heartbeat("w@there/1", {"queue": "cpu", "slots": 1}, [])
        else:
            others.subscribe("living:1")
        assert watcher._hand_on("living:1", since) is False
        assert handed_back(bench) == 0
        assert "living:1" in others.left(bench)

    def test_the_registry_forgets_the_dead_too(self, bench, others, watcher):
        ledger = Ledger(bench.client, load({"GRISTMILL_PREFIX": bench.prefix}))
        others.enlist("dead:1", worker="w@there/1")
        ledger.heartbeat("w@there/1", {"queue": "cpu", "slots": 3}, [])
        others.take("dead:1")
        others.end("dead:1")
        since = watcher._scripts.call("subscribers")[0] + 1
        assert watcher._hand_on("dead:1", since) is True
        assert bench.client.zcard(f"{bench.prefix}gm1:workers") == 0
        assert bench.client.hget(f"{bench.prefix}gm1:slots", "cpu") == "0"
        assert ledger.heartbeat("w@there/1", {"queue": "cpu", "slots": 3}, [])[:2] == (0, True)

    def test_of_five_hundred_none_is_taken_early(self, bench, others, watcher):
        names = [f"w:{number}" for number in range(500)]
        put(bench, 500)
        others.enlist(*names)
        for name in names:
            others.take(name)
        begin(watcher)
        looks(watcher)
        for name in names[:10]:
            others.end(name)
            others.subscribe(name)
        looks(watcher, 6)
        assert handed_back(bench) == 0
        # Many at once: the leases decide.
        for name in names[:200]:
            others.end(name)
        looks(watcher, 6)
        assert handed_back(bench) == 0
        others.end("w:499")
        until(lambda: handed_back(bench) == 1)
        assert "w:499" not in others.left(bench)

    def test_three_of_many_watch(self, bench, others, watcher):
        others.enlist(*(f"w:{number}" for number in range(5)))
        assert bench.client.zcard(f"{bench.prefix}gm1:watchers") == 3
        watcher.subscription.hold()
        watcher.enlist()
        assert watcher._look not in watcher.lease.heartbeat.calls
        bench.client.zadd(f"{bench.prefix}gm1:watchers", {"w:1": 0})
        watcher.enlist()
        assert watcher._look in watcher.lease.heartbeat.calls

    def test_a_call_of_another_thread_does_not_make_a_watcher_forget(self, bench, others, watcher):
        put(bench, 1)
        others.enlist("dead:1")
        others.take("dead:1")
        begin(watcher)
        looks(watcher)
        pool, held, real = watcher.lease.heartbeat.client.connection_pool, [], watcher._subscribers

        def end_before_a_look():
            if not held:
                others.end("dead:1")
                # Two calls whose answers nobody has read yet.
                held.extend(pool.get_connection() for _ in range(2))
                for connection in held:
                    connection.send_command("PING")
            return real()

        watcher._subscribers = end_before_a_look
        # Long before its lease ends.
        until(lambda: handed_back(bench) == 1, 10)
        for connection in held:
            connection.read_response()
            pool.release(connection)

    def test_a_server_that_comes_back_says_nothing_about_the_dead(self, bench, others, watcher):
        """A cut connection of the watcher's stands for it: over the next one it has seen nobody."""
        put(bench, 1)
        others.enlist("gone:1")
        others.take("gone:1")
        begin(watcher)
        looks(watcher)
        others.end("gone:1")
        connections = watcher.subscription.count
        bench.client.client_kill_filter(_type="pubsub")
        until(lambda: watcher.subscription.count > connections, what="another connection")
        looks(watcher, 14)
        assert handed_back(bench) == 0


class TestWithoutRights:
    @pytest.mark.parametrize(
        ("rules", "problem"),
        [(["-@pubsub"], "subscribe"), (["resetchannels"], "channel"), (["-pubsub"], "pubsub")],
        ids=lambda value: value[0] if isinstance(value, list) else "",
    )
    def test_the_lease_decides_and_says_why(self, bench, others, watcher, rules, problem):
        user = f"u{bench.prefix[1:-1]}"
        bench.client.acl_setuser(user, enabled=True, passwords=["+secret"], keys="*", channels="*", commands=["+@all"])
        bench.client.execute_command("ACL", "SETUSER", user, *rules)
        port = bench.client.connection_pool.connection_kwargs["port"]
        with Redis(port=port, username=user, password="secret", decode_responses=True) as client:
            limited = Watcher(watcher.lease, "w@here/1")
            limited.subscription._pool = client.connection_pool
            limited._scripts.client = client
            limited.subscription.hold()
            limited.enlist()
            if rules == ["-pubsub"]:
                with pytest.raises(Exception, match=r"NOPERM|permission|ACL"):
                    limited.look()
                limited.enlist()
            number, problems = unwatched_workers(bench.client, bench.prefix)
        assert number == 1
        assert problem in problems[watcher.lease.consumer].lower()
        assert bench.client.zcard(f"{bench.prefix}gm1:watchers") == 0
        bench.client.acl_deluser(user)

    def test_protocol_2_leaves_it_to_the_lease(self, bench, watcher):
        with Redis.from_url(bench.url, protocol=2) as client:
            watcher.subscription._pool = client.connection_pool
            watcher.subscription.hold()
            assert client.ping()
        assert "protocol 2" in watcher.subscription.problem


class TestDoctor:
    def found(self, bench, monkeypatch):
        monkeypatch.setenv("GRISTMILL_PREFIX", bench.prefix)
        settings.cache_clear()
        findings = list(doctor._watch(bench.client))
        monkeypatch.undo()
        settings.cache_clear()
        return [(finding.check, bool(finding.advice)) for finding in findings]

    def test_it_says_when_a_worker_cannot_be_watched(self, bench, others, monkeypatch):
        assert self.found(bench, monkeypatch) == []
        others.enlist("w:1")
        assert self.found(bench, monkeypatch) == [("death of a worker", False)]
        others.scripts.call("enlist", consumer="w:2", worker="", problem="NOPERM", anew=True, queues=["q"])
        assert self.found(bench, monkeypatch) == [("death of a worker", True)]


def test_a_worker_enlists_before_it_reads(bench, channel):
    """One that was killed at its first message was left to its lease, because nobody knew it."""
    watcher, go, asked = Watcher(channel.lease, "w@here/1"), threading.Event(), []
    # It would come upon it too, in five seconds.
    watcher._hold.seconds = 600
    real = watcher._scripts.call
    watcher.begin()
    until(lambda: watcher._enlist.seconds == inf, what="an enlistment of a worker that does not read yet")
    assert bench.client.hlen(f"{bench.prefix}gm1:consumers") == 0
    watcher._scripts.call = lambda *args, **kwargs: asked.append(args) or (go.wait(30) and real(*args, **kwargs))
    reader = threading.Thread(target=channel.lease.keep, args=(["q"],))
    reader.start()
    until(lambda: asked == [("enlist",)], what="the enlistment")
    reader.join(0.2)
    assert reader.is_alive()
    go.set()
    reader.join(30)
    assert bench.client.hexists(f"{bench.prefix}gm1:consumers", channel.lease.consumer)


def test_a_call_after_the_end_of_its_connection_subscribes_first(bench, watcher):
    """The heartbeat was in another call when the connection ended, and does not wait for the next second."""
    watcher.lease.queues.add("q")
    for call in (watcher.enlist, watcher.look):
        watcher.subscription.hold()
        session = watcher._scripts.client.client_id()
        connections = watcher.subscription.count
        bench.client.client_kill_filter(_id=session)
        call()
        assert bench.client.pubsub_numsub(watcher.subscription.channel) == [(watcher.subscription.channel, 1)]
        assert watcher.subscription.count == connections + 1
