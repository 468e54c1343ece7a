"""A server that becomes a read-only replica while an address, not Sentinel, leads to the primary."""

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


def change_places(one, two, replica, proxy):
    """Make the replica the primary, to which the address leads from now on; what is connected stays where it is."""
    two.replicaof("NO", "ONE")
    one.replicaof("127.0.0.1", replica.port)
    proxy._target = replica.port


def test_workers_follow_the_address_to_the_new_primary(server, two, tmp_path):
    primary, one, replica, two = two
    with Proxy(primary.port) as proxy:
        bench = Bench(primary.url, tmp_path)
        try:
            # Where the tasks say that they ran.
            bench.environ["TEST_SAYS"] = server.url
            says = Redis.from_url(server.url, decode_responses=True)
            through = primary.url.replace(f":{primary.port}", f":{proxy.port}")
            worker = bench.worker("threads", 2, url=through)
            bench.send("for n in range(20): mark.delay(n, 0.2)")
            until(lambda: says.llen(bench.prefix + "done"), 60, "a task's end")
            until(lambda: one.wait(1, 1000) == 1, 30)
            change_places(one, two, replica, proxy)
            bench.url, bench.client = replica.url, Redis.from_url(replica.url, decode_responses=True)
            bench.send("for n in range(20, 30): mark.delay(n)")
            ended = lambda: {int(n) for n in says.lrange(bench.prefix + "done", 0, -1)}  # noqa: E731
            until(lambda: ended() == set(range(30)) and bench.standing() == 0, 60)
            assert (bench.dead(), worker.poll()) == ([], None)
            says.close()
        finally:
            bench.close()


def test_a_call_is_made_again_on_the_new_primary(two):
    primary, one, replica, two = two
    with Proxy(primary.port) as proxy:
        scripts = TransportScripts(connect(primary.url.replace(f":{primary.port}", f":{proxy.port}")), "d:")

        def put():
            scripts.call("put", **put_of("q", 0, ["text"], NEVER_REPEATED, 0))

        put()
        until(lambda: one.wait(1, 1000) == 1, 30)
        change_places(one, two, replica, proxy)
        put()
        assert two.xlen("d:gm1:q:q:0") == 2
        scripts.client.close()
