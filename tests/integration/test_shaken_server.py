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

#: For how long each trouble lasts once it is felt, and the tasks that are put for each.
SECONDS, TASKS = 1.5, 30
#: A message with so many characters is larger than what the server keeps for a client that has small buffers.
LARGE = 40_000


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


def count(client, name):
    """How often the server has counted something since `CONFIG RESETSTAT`: an error, or one of its statistics."""
    if name.isupper():
        return client.info("errorstats").get(f"errorstat_{name}", {"count": 0})["count"]
    return client.info("stats")[name]


def felt(client, name):
    """Let a trouble last, once the server has counted that somebody felt it."""
    until(lambda: count(client, name) > 0, 30, name)
    time.sleep(SECONDS)


def kill_connections(client):
    return sum(client.execute_command("CLIENT", "KILL", "TYPE", kind, "SKIPME", "yes") for kind in ("normal", "pubsub"))


def full(client, server, bench):
    with configured(client, "maxmemory", "1mb"):
        # Whoever takes and acknowledges goes on; whoever puts feels it.
        bench.send("try:\n    mark.apply_async((-1,), retry=False)\nexcept Exception:\n    pass")
        felt(client, "OOM")


def no_more_connections(client, server, bench):
    with configured(client, "maxclients", "1"):
        kill_connections(client)
        felt(client, "rejected_connections")


def a_disk_that_stands_still(client, server, bench):
    os.kill(server.process.pid, signal.SIGSTOP)
    try:
        time.sleep(SECONDS)
        # What is taken ends; a server that goes on would have handed out the rest in half of that time.
        assert len(bench.ended()) % TASKS
    finally:
        os.kill(server.process.pid, signal.SIGCONT)


def killed_connections(client, server, bench):
    killed = 0
    for _ in range(15):
        killed += kill_connections(client)
        time.sleep(SECONDS / 15)
    assert killed >= 15


def small_buffers(client, server, bench):
    with configured(client, "client-output-buffer-limit", "normal 16kb 8kb 1 pubsub 1kb 1kb 1"):
        # An answer to this client about it would itself be too large.
        time.sleep(SECONDS)
    # Who is cut off comes again; nobody else does.
    assert count(client, "total_connections_received") > 0


def forgotten_scripts(client, server, bench):
    for _ in range(15):
        client.script_flush()
        time.sleep(SECONDS / 15)
    assert count(client, "NOSCRIPT") >= 5


def another_password(client, server, bench):
    with configured(client, "requirepass", "another"):
        kill_connections(client)
        felt(client, "WRONGPASS")


def a_replica(client, server, bench):
    client.replicaof("127.0.0.1", 1)
    felt(client, "READONLY")
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


class SayingBench(Bench):
    """A bench whose tasks say on another server that they ran."""

    def __init__(self, url, directory, says):
        super().__init__(url, directory)
        self.says = Redis.from_url(says, decode_responses=True)
        self.environ["TEST_SAYS"] = says

    def ended(self):
        """The numbers of the tasks that ran."""
        return {int(number) for number in self.says.lrange(self.prefix + "done", 0, -1)}

    def close(self):
        super().close()
        self.says.close()


@pytest.mark.slow
def test_each_trouble_is_felt_and_costs_nothing(server, shaken, tmp_path):
    shaken, client = shaken
    bench = SayingBench(shaken.url, tmp_path, server.url)
    try:
        worker = bench.worker("threads", 4, 2)
        for number, trouble in enumerate(TROUBLES):
            first, last = number * TASKS, (number + 1) * TASKS
            large = f"headers={{'large': {LARGE} * 'x'}}" if trouble is small_buffers else ""
            bench.send(f"for n in range({first}, {last}): mark.apply_async((n, 0.1), {large})")
            until(lambda first=first: len(bench.ended()) > first + 3, 60, f"tasks that run: {trouble.__name__}")
            client.config_resetstat()
            trouble(client, shaken, bench)
            until(lambda last=last: bench.ended() == set(range(last)), 60, f"the ends after {trouble.__name__}")
        until(lambda: bench.standing() == 0, 30, "the queue's end")
        assert (bench.dead(), worker.poll()) == ([], None)
    finally:
        bench.close()
