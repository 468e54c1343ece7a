"""The heartbeat of a process, on a real server: one thread and one connection, whoever has something to renew."""

import logging
import os
import subprocess
import sys
import threading
import time
from math import inf
from types import SimpleNamespace

import psutil
import pytest
from redis import Redis
from redis.backoff import NoBackoff
from redis.retry import Retry

from gristmill.broker.leases import lease_for
from gristmill.fleet.registry import WorkerRegistry
from gristmill.server.heartbeat import Heartbeat, PeriodicCall, heartbeat_of
from gristmill.server.waiting import COMMAND, OUTCOMES
from gristmill.tasks.application import app
from gristmill.worker import boot_steps
from tests.conftest import until
from tests.support.forked import start
from tests.support.leases import end_leases
from tests.support.proxy import Proxy


@pytest.fixture(autouse=True)
def clean():
    end_leases()
    yield
    end_leases()
    until(lambda: not threads(), what="the end of the heartbeat's thread")


def threads():
    return [thread for thread in threading.enumerate() if thread.name == "heartbeat"]


def connections(client):
    """The ids of the server's connections."""
    return {entry["id"] for entry in client.client_list()}


def counter(client, key):
    """A call that counts itself in `key`, and what it counted so far."""
    return PeriodicCall(key, 0.05, lambda: heartbeat_of(client).client.incr(key)), lambda: int(client.get(key) or 0)


def goes_on(count):
    before = count()
    return until(lambda: count() > before + 2, what="two more calls")


def test_all_that_a_process_renews_shares_a_thread_and_a_connection(client, ledger):
    before = connections(client)
    lease = lease_for(client, ledger.settings.prefix)
    call, count = counter(client, ledger.key("b", "calls"))
    lease.keep(["q"], take_lists=True)
    heartbeat_of(client).add(call)
    goes_on(count)
    until(lambda: client.zscore(ledger.settings.key("lease:q"), lease.consumer), what="a renewal")
    assert len(threads()) == 1
    assert len(connections(client) - before) == 1
    heartbeat_of(client).remove(call)


def test_what_is_nearly_due_comes_along_and_wakes_nobody(client):
    heartbeat = Heartbeat(client.connection_pool)
    now = time.monotonic()
    calls = [PeriodicCall(name, seconds, lambda: None) for name, seconds in (("a", 1), ("b", 100), ("c", 100))]
    for call, due in zip(calls, (now, now + 9, now + 11), strict=True):
        call.due = due
    rare = PeriodicCall("rare", inf, lambda: None)
    rare.due = now + 0.2
    heartbeat.calls = [*calls, rare]
    assert [heartbeat._next().name for _ in range(3)] == ["b", "a", "rare"]
    # What is hastened comes at its time; the last one has more than a tenth of its period left.
    assert now + 0.2 <= time.monotonic() < now + 9


def test_new_calls_run_in_their_order(client):
    """A worker subscribes before it enlists, or its first second is nobody's."""
    heartbeat = Heartbeat(client.connection_pool)
    heartbeat.calls = [PeriodicCall("subscription", 0.2, lambda: None), PeriodicCall("enlisting", 1, lambda: None)]
    assert [heartbeat._next().name for _ in range(2)] == ["subscription", "enlisting"]


def test_a_beat_that_raises_is_logged_once_and_stops_no_other(client, ledger, caplog):
    failures = []

    def fail():
        raise LookupError(len(failures))

    broken = PeriodicCall("broken", 0.05, fail, lambda: failures.append(1))
    call, count = counter(client, ledger.key("b", "calls"))
    with caplog.at_level(logging.WARNING):
        heartbeat_of(client).add(broken, call)
        goes_on(count)
        until(lambda: len(failures) > 2, what="further tries")
    heartbeat_of(client).remove(broken, call)
    assert [record.levelname for record in caplog.records] == ["ERROR"]


def test_it_outlives_its_connection_and_says_so_once(server, ledger, caplog):
    with Proxy(server.port) as proxy, Redis.from_url(server.url.replace(str(server.port), str(proxy.port))) as client:
        call, count = counter(client, ledger.key("b", "calls"))
        heartbeat_of(client).add(call)
        goes_on(count)
        with caplog.at_level(logging.WARNING):
            proxy.cut_next(b":", times=2)
            until(lambda: caplog.records, what="a line about it")
            goes_on(count)
        heartbeat_of(client).remove(call)
    assert [record.levelname for record in caplog.records] == ["WARNING"]


def test_a_server_that_hangs_holds_it_up_for_the_time_of_an_answer(server, ledger, monkeypatch, caplog):
    monkeypatch.setattr("gristmill.server.heartbeat.ANSWER_SECONDS", 0.2)
    with Redis.from_url(server.url) as client:
        heartbeat = heartbeat_of(client)
        hangs = PeriodicCall("hanging", 60, lambda: heartbeat.client.blpop(["nothing"], 30))
        call, count = counter(client, ledger.key("b", "calls"))
        heartbeat.add(hangs, call)
        goes_on(count)
        heartbeat.remove(hangs, call)
    assert "hanging heartbeat failed" in caplog.text


FORKS = """
import os, sys, time
from redis import Redis
from redis.backoff import NoBackoff
from redis.retry import Retry
from gristmill.fleet.registry import WorkerRegistry
from gristmill.server.heartbeat import PeriodicCall, heartbeat_of
from gristmill.server.waiting import COMMAND, OUTCOMES
from gristmill.tasks.application import app

client = Redis.from_url(sys.argv[1])
prefix = sys.argv[2]

def begin():
    key = f"{prefix}{os.getpid()}"
    heartbeat_of(client).add(PeriodicCall("test", 0.05, lambda: heartbeat_of(client).client.incr(key)))
    while int(client.get(key) or 0) < 3:
        time.sleep(0.02)

begin()
child = os.fork()
if not child:
    assert heartbeat_of(client).calls == []
    begin()
    os._exit(0)
_, status = os.waitpid(child, 0)
begin()
print(os.waitstatus_to_exitcode(status))
"""


def test_a_forked_process_has_one_of_its_own(server, ledger):
    command = [sys.executable, "-W", "ignore", "-c", FORKS, server.url, ledger.settings.prefix]
    answer = subprocess.run(command, check=True, timeout=60, stdout=subprocess.PIPE, text=True, env=dict(os.environ))
    assert answer.stdout == "0\n"


@pytest.mark.parametrize(
    ("one", "other", "same"),
    [
        ("redis://:a@127.0.0.1:6379/0", "redis://:a@127.0.0.1", True),
        ("redis://:a@127.0.0.1:6379/0", "redis://:a@127.0.0.1:6379/1", False),
        ("redis://:a@127.0.0.1:6379/0", "redis://:b@127.0.0.1:6379/0", False),
        ("unix:///run/valkey?db=0", "unix:///run/valkey", True),
    ],
)
def test_it_belongs_to_a_server_however_that_is_spelt(one, other, same):
    with Redis.from_url(one) as first, Redis.from_url(other) as second:
        assert (heartbeat_of(first) is heartbeat_of(second)) == same


def test_a_lease_that_could_not_be_renewed_is_a_broken_one(client, ledger, monkeypatch):
    lease = lease_for(client, ledger.settings.prefix)
    lease.queues.add("q")
    renewal = lease._calls[0]
    renewal.run()
    assert lease._unbroken_since is not None
    # The discard port: nothing listens.
    with Redis(port=9, retry=Retry(NoBackoff(), 0)) as nowhere:
        monkeypatch.setattr(lease.scripts, "client", nowhere)
        renewal.run()
    assert lease._unbroken_since is None


@pytest.mark.parametrize("kind", ["cpu", "io"])
def test_a_worker_has_few_threads_before_its_slots_begin(server, ledger, tmp_path, kind):
    environ = {
        **os.environ,
        "GRISTMILL_HOME": str(tmp_path),
        "GRISTMILL_REDIS_URL": server.url,
        "GRISTMILL_PREFIX": ledger.settings.prefix,
    }
    command = [sys.executable, "-P", "-m", "gristmill.worker", kind, "--slots", "1"]
    with (tmp_path / "log").open("w") as log, start(command, environ, log) as worker:
        try:
            registry = WorkerRegistry(ledger.client, ledger.settings)
            until(registry.workers, what=f"a heartbeat ({tmp_path / 'log'})")
            lease = ledger.settings.key(f"lease:{kind}")
            until(lambda: ledger.client.zcard(lease), what="a lease")
            # The event loop's, or the consumer's, and the heartbeat's.
            assert psutil.Process(worker.pid).num_threads() == 2
        finally:
            worker.terminate()


def test_a_program_waits_less_for_a_result_s_server_than_a_worker(monkeypatch):
    options = {"retry_policy": COMMAND.as_celery()}
    worker = SimpleNamespace(app=SimpleNamespace(conf=SimpleNamespace(result_backend_transport_options=options)))
    monkeypatch.setattr(boot_steps, "prepare", lambda: None)
    boot_steps.Prepare(worker)
    assert options["retry_policy"] == OUTCOMES.as_celery()
    assert app.conf.task_publish_retry_policy == COMMAND.as_celery()
    assert app.conf.result_backend_transport_options["retry_policy"] == COMMAND.as_celery()
