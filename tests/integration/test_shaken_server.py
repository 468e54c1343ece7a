"""A server that an operator or a slow disk gets into trouble under load: each task ends, and the worker lives."""

import os
import signal
import time
from contextlib import contextmanager

import pytest
from redis import Redis

from tests.conftest import until
from tests.support.servers import redis_server, running
from tests.support.transport_bench import Bench

#: For how long each trouble lasts, and the tasks that are put for each.
SECONDS, TASKS = 1.5, 30


@pytest.fixture
def shaken(tmp_path):
    with running(redis_server(), tmp_path / "shaken") as shaken, Redis.from_url(shaken.url) as client:
        yield shaken, client


@contextmanager
def configured(client, name, value):
    before = client.config_get(name)[name]
    client.config_set(name, value)
    yield
    client.config_set(name, before)


def kill_connections(client):
    for kind in ("normal", "pubsub"):
        client.execute_command("CLIENT", "KILL", "TYPE", kind, "SKIPME", "yes")


def full(client, server):
    with configured(client, "maxmemory", "1mb"):
        time.sleep(SECONDS)


def no_more_connections(client, server):
    with configured(client, "maxclients", "1"):
        kill_connections(client)
        time.sleep(SECONDS)


def a_disk_that_stands_still(client, server):
    os.kill(server.process.pid, signal.SIGSTOP)
    time.sleep(SECONDS)
    os.kill(server.process.pid, signal.SIGCONT)


def killed_connections(client, server):
    for _ in range(15):
        kill_connections(client)
        time.sleep(SECONDS / 15)


def small_buffers(client, server):
    with configured(client, "client-output-buffer-limit", "normal 16kb 8kb 1 pubsub 1kb 1kb 1"):
        time.sleep(SECONDS)


def forgotten_scripts(client, server):
    for _ in range(15):
        client.script_flush()
        time.sleep(SECONDS / 15)


def another_password(client, server):
    with configured(client, "requirepass", "another"):
        kill_connections(client)
        time.sleep(SECONDS)


def a_replica(client, server):
    client.replicaof("127.0.0.1", 1)
    time.sleep(SECONDS)
    client.replicaof("NO", "ONE")


TROUBLES = (
    full,
    no_more_connections,
    a_disk_that_stands_still,
    killed_connections,
    small_buffers,
    forgotten_scripts,
    another_password,
    a_replica,
)


@pytest.mark.slow
def test_each_trouble_costs_nothing(server, shaken, tmp_path):
    shaken, client = shaken
    bench = Bench(shaken.url, tmp_path)
    says = Redis.from_url(server.url, decode_responses=True)
    try:
        # Where the tasks say that they ran.
        bench.environ["TEST_SAYS"] = server.url
        worker = bench.worker("threads", 4, 2)

        def done():
            return {int(number) for number in says.lrange(bench.prefix + "done", 0, -1)}

        for number, trouble in enumerate(TROUBLES):
            first, last = number * TASKS, (number + 1) * TASKS
            bench.send(f"for n in range({first}, {last}): mark.delay(n, 0.1)")
            until(lambda first=first: len(done()) > first + 3, 60, f"tasks that run: {trouble.__name__}")
            trouble(client, shaken)
            until(lambda last=last: done() == set(range(last)), 60, f"the ends after {trouble.__name__}")
        until(lambda: bench.standing() == 0, 30, "the queue's end")
        assert (bench.dead(), worker.poll()) == ([], None)
    finally:
        bench.close()
        says.close()
