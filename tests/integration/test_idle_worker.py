"""What an idle worker asks of its server: counts, which no other work on the machine changes."""

import os
import re
import sys
from contextlib import ExitStack
from pathlib import Path
from threading import Thread

import psutil
import pytest
from celery import Celery
from kombu import Connection, pools
from redis import Redis

from gristmill.broker.address import from_redis
from gristmill.broker.link import READ_SECONDS
from gristmill.config.settings import load
from gristmill.fleet.registry import WorkerRegistry
from gristmill.server.heartbeat import ANSWER_SECONDS
from gristmill.server.home import Home
from gristmill.server.private import PrivateServer
from tests.conftest import until

#: The requests of an idle worker that no script makes.
REQUESTS = ("evalsha", "xreadgroup", "publish", "script|load")
SECONDS = 10
VOLUNTARY = re.compile(r"^voluntary_ctxt_switches:\s+(\d+)", re.MULTILINE)


class IdleFleet:
    """A server of its own, and workers with nothing to do."""

    def __init__(self, path, stack):
        self.path, self.stack, self.workers = path, stack, []
        self.url = stack.enter_context(PrivateServer(Home(path / "home"), load({}))).url
        self.client = stack.enter_context(Redis.from_url(self.url, decode_responses=True))

    def start(self, *kinds):
        environ = {**os.environ, "GRISTMILL_HOME": str(self.path), "GRISTMILL_REDIS_URL": self.url}
        for kind in kinds:
            command = [sys.executable, "-m", "gristmill.worker", kind, "--slots", "2"]
            log = self.stack.enter_context((self.path / f"{kind}.log").open("w"))
            worker = psutil.Popen(command, env=environ, stdout=log, stderr=log)
            self.workers.append(worker)
            self.stack.callback(worker.wait)
            self.stack.callback(worker.terminate)
        registry = WorkerRegistry(self.client, load({}))
        until(lambda: len(registry.workers()) == len(kinds), 60, what=f"workers ({self.path})")
        until(lambda: self.client.hlen("gm1:consumers") == len(kinds), what="the watch")

    def wakes(self):
        """How often threads of the workers have slept so far."""
        processes = [each for worker in self.workers for each in (worker, *worker.children(recursive=True))]
        statuses = [path.read_text() for each in processes for path in Path(f"/proc/{each.pid}/task").glob("*/status")]
        return sum(int(VOLUNTARY.search(status)[1]) for status in statuses)

    def waits(self):
        """For how many seconds each read has waited."""
        return [int(each["idle"]) for each in self.client.client_list() if each["cmd"] == "xreadgroup"]

    def connections(self):
        return len(self.client.client_list()) - 1

    def requests(self):
        """How many requests each worker has made, and the second of the server at which it says so."""
        counts = self.client.info("commandstats")
        number = sum(counts.get(f"cmdstat_{name}", {}).get("calls", 0) for name in REQUESTS)
        return number, self.client.time()[0]

    def published(self):
        return self.client.info("commandstats").get("cmdstat_publish", {}).get("calls", 0)

    def ask(self, seconds=60):
        """How many workers answer over remote control, as the dashboard has them do when it starts."""
        control = "gristmill.tasks.remote_control:RemoteControl"
        app = Celery("elsewhere", broker=from_redis(self.url), control=control, set_as_current=False)
        app.conf.control_exchange = "gristmill"
        try:
            return len(app.control.ping(timeout=seconds, limit=len(self.workers)))
        finally:
            # Else the connection by which the question went stays.
            pools.reset()

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
def test_alone_it_makes_few_requests_over_few_connections_and_seldom_wakes(fleet, kind):
    fleet.start(kind)
    assert fleet.ask() == 1
    # The reader's, that of remote control, and the heartbeat's two, over which events and answers go too.
    until(lambda: fleet.connections() <= 4, what="connections that only the start has needed")
    # The heartbeat each second. All else has five: enlisting, the lease and the scan, a read and a take, an event.
    wakes = fleet.wakes()
    assert fleet.each_second() < 3
    assert (fleet.wakes() - wakes) / SECONDS < 9
    # Two calls at the same moment open another one, which goes again.
    until(lambda: fleet.connections() <= 4, what="connections that only a moment has needed")


def test_beside_another_one_it_looks_three_times_a_second(fleet):
    fleet.start("cpu", "io")
    assert 8 < fleet.each_second() < 15


def test_one_that_drains_waits_for_no_message(fleet):
    """One that came would wait with it."""
    fleet.start("io")
    until(lambda: 0 in fleet.waits(), what="a read that has just begun")
    registry = WorkerRegistry(fleet.client, load({}))
    (worker,) = registry.workers()
    registry.drain(worker.id)
    until(lambda: not fleet.waits(), READ_SECONDS / 2, "the end of the read")
    registry.undrain(worker.id)
    until(fleet.waits, what="another read")


def test_it_hears_and_takes_messages_after_an_answer_that_has_failed(fleet):
    """kombu would close the channels by which the worker reads, behind the back of its event loop."""
    fleet.start("io")
    (worker,) = fleet.workers
    worker.suspend()
    published = fleet.published()
    asking = Thread(target=fleet.ask, args=(2 * ANSWER_SECONDS,))
    asking.start()
    until(lambda: fleet.published() > published, what="the question")
    # For longer than the worker waits for the server.
    fleet.client.execute_command("CLIENT", "PAUSE", int(1000 * (ANSWER_SECONDS + 2)), "WRITE")
    worker.resume()
    asking.join()
    until(lambda: fleet.ask(2) == 1, 30, "an answer")
    with Connection(from_redis(fleet.url)) as connection:
        message = connection.default_channel.prepare_message("{}", content_type="application/json")
        connection.default_channel.basic_publish(message, "", "io")
    until(lambda: fleet.client.xlen("gm1:dead") == 1, 30, "a message that is no task")
