"""A server that becomes a read-only replica while an address, not Sentinel, leads to the primary."""

import os
from contextlib import AbstractContextManager

import pytest
from redis import Redis

from gristmill.broker.messages import put_of
from gristmill.broker.scripts import TransportScripts
from gristmill.broker.senders import NEVER_REPEATED
from gristmill.server.connection import connect
from tests.conftest import until
from tests.support.proxy import Proxy
from tests.support.servers import PASSWORD, redis_server, running
from tests.support.transport_bench import Bench


@pytest.fixture
def two(tmp_path):
    """A primary and its replica."""
    with (
        running(redis_server(), tmp_path / "one", masterauth=PASSWORD, repl_diskless_sync_delay=0) as primary,
        running(redis_server(), tmp_path / "two", masterauth=PASSWORD) as replica,
        Redis.from_url(primary.url) as one,
        Redis.from_url(replica.url) as two,
    ):
        two.replicaof("127.0.0.1", primary.port)
        until(lambda: two.info("replication")["master_link_status"] == "up", 30, "the link")
        yield primary, one, replica, two


class Address(Proxy):
    """Leads to a server by a proxy: an address that stays as it is."""

    def __init__(self, _, server):
        super().__init__(server.port)
        self.environ, self.url = {}, server.url.replace(f":{server.port}", f":{self.port}")

    def lead_to(self, server):
        self._target = server.port


#: A process that has it imports it as it starts: its resolver reads in a file where a name leads.
RESOLVER = """
import pathlib, socket

really = socket.getaddrinfo

def getaddrinfo(host, port, *others, **options):
    if host == "mill.test":
        host, port = "127.0.0.1", int(pathlib.Path(__file__).with_name("port").read_text())
    return really(host, port, *others, **options)

socket.getaddrinfo = getaddrinfo
"""


class Name(AbstractContextManager):
    """Leads to a server by the resolver of a process: a name of DNS that changes."""

    def __init__(self, directory, server):
        self.directory = directory / "resolver"
        self.directory.mkdir()
        (self.directory / "sitecustomize.py").write_text(RESOLVER)
        self.environ = {"PYTHONPATH": os.pathsep.join([str(self.directory), os.environ.get("PYTHONPATH", "")])}
        self.url = server.url.replace("127.0.0.1", "mill.test")
        self.lead_to(server)

    def lead_to(self, server):
        (self.directory / "port").write_text(str(server.port))

    def __exit__(self, *_):
        """Nothing is to be ended."""


def change_places(one, two, replica, place):
    """Make the replica the primary, to which the place leads from now on; what is connected stays where it is."""
    two.replicaof("NO", "ONE")
    one.replicaof("127.0.0.1", replica.port)
    place.lead_to(replica)


@pytest.mark.parametrize("kind", [Address, Name])
def test_workers_follow_the_address_to_the_new_primary(server, two, tmp_path, kind):
    primary, one, replica, two = two
    with kind(tmp_path, primary) as place:
        bench = Bench(primary.url, tmp_path)
        try:
            bench.environ |= place.environ
            # Where the tasks say that they ran.
            bench.environ["TEST_SAYS"] = server.url
            says = Redis.from_url(server.url, decode_responses=True)
            worker = bench.worker("threads", 2, url=place.url)
            bench.send("for n in range(20): mark.delay(n, 0.2)")
            until(lambda: says.llen(bench.prefix + "done"), 60, "a task's end")
            until(lambda: one.wait(1, 1000) == 1, 30)
            change_places(one, two, replica, place)
            bench.url, bench.client = replica.url, Redis.from_url(replica.url, decode_responses=True)
            bench.send("for n in range(20, 30): mark.delay(n)")
            ended = lambda: {int(n) for n in says.lrange(bench.prefix + "done", 0, -1)}  # noqa: E731
            until(lambda: ended() == set(range(30)) and bench.standing() == 0, 60)
            assert (bench.dead(), worker.poll()) == ([], None)
            says.close()
        finally:
            bench.close()


def test_a_call_is_made_again_on_the_new_primary(two, tmp_path):
    primary, one, replica, two = two
    with Address(tmp_path, primary) as place:
        scripts = TransportScripts(connect(place.url), "d:")

        def put():
            scripts.call("put", **put_of("q", 0, ["text"], NEVER_REPEATED, 0))

        put()
        until(lambda: one.wait(1, 1000) == 1, 30)
        change_places(one, two, replica, place)
        put()
        assert two.xlen("d:gm1:q:q:0") == 2
        scripts.client.close()
