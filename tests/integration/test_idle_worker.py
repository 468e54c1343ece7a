"""What an idle worker asks of its server: counts, which no other work on the machine changes."""

import os
import subprocess
import sys
from contextlib import ExitStack

import pytest
from redis import Redis

from gristmill.config.settings import load
from gristmill.fleet.registry import WorkerRegistry
from gristmill.server.home import Home
from gristmill.server.private import PrivateServer
from tests.conftest import until

#: The requests of an idle worker that no script makes.
REQUESTS = ("evalsha", "xreadgroup", "publish", "script|load")
SECONDS = 8


class IdleFleet:
    """A server of its own, and workers with nothing to do."""

    def __init__(self, path, stack):
        self.path, self.stack = path, stack
        self.url = stack.enter_context(PrivateServer(Home(path / "home"), load({}))).url
        self.client = stack.enter_context(Redis.from_url(self.url, decode_responses=True))

    def start(self, *kinds):
        environ = {**os.environ, "GRISTMILL_HOME": str(self.path), "GRISTMILL_REDIS_URL": self.url}
        for kind in kinds:
            command = [sys.executable, "-m", "gristmill.worker", kind, "--slots", "2"]
            log = self.stack.enter_context((self.path / f"{kind}.log").open("w"))
            worker = subprocess.Popen(command, env=environ, stdout=log, stderr=log)
            self.stack.callback(worker.wait)
            self.stack.callback(worker.terminate)
        registry = WorkerRegistry(self.client, load({}))
        until(lambda: len(registry.workers()) == len(kinds), 60, what=f"workers ({self.path})")
        until(lambda: self.client.hlen("gm1:consumers") == len(kinds), what="the watch")

    def connections(self):
        return len(self.client.client_list()) - 1

    def requests(self):
        """How many requests each worker has made, and the second of the server at which it says so."""
        counts = self.client.info("commandstats")
        number = sum(counts.get(f"cmdstat_{name}", {}).get("calls", 0) for name in REQUESTS)
        return number, self.client.time()[0]

    def each_second(self):
        self.client.config_resetstat()
        began, looks = self.client.time()[0], []

        def is_over():
            looks.append(self.requests())
            return looks[-1][1] - began >= SECONDS

        until(is_over, 60, what="some seconds")
        number, at = looks[-1]
        return number / (at - began)


@pytest.fixture
def fleet(tmp_path):
    with ExitStack() as stack:
        yield IdleFleet(tmp_path, stack)


@pytest.mark.parametrize("kind", ["cpu", "io"])
def test_alone_it_makes_few_requests_over_few_connections(fleet, kind):
    fleet.start(kind)
    # The reader's, that of remote control, that of events, and the heartbeat's two.
    until(lambda: fleet.connections() <= 5, what="connections that only the start has needed")
    # The heartbeat and its meters, enlisting, the lease and the scan, a read and a take; nobody is there to be watched.
    assert fleet.each_second() < 7.5
    assert fleet.connections() <= 5


def test_beside_another_one_it_looks_three_times_a_second(fleet):
    fleet.start("cpu", "io")
    assert 12 < fleet.each_second() < 22
