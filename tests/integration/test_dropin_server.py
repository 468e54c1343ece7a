"""Drop-in: however the broker is addressed, the channel is ours; a worker on any other refuses to start."""

import os
import re
import socket
import ssl
import subprocess
import sys
import uuid
from contextlib import contextmanager
from pathlib import Path
from urllib.request import urlopen

import psutil
import pytest
from kombu import Connection
from redis import Redis, SSLConnection
from redis.exceptions import RedisError

from gristmill.broker.transport import Transport
from gristmill.server.private import program
from tests.conftest import until
from tests.support.dropin_bench import DropIn
from tests.support.leases import end_leases

PROJECT = Path(__file__).parents[2]
BENCH = DropIn
OURS = "gristmill.broker.channel:Channel"


@contextmanager
def closing(*arguments, **options):
    bench = DropIn(*arguments, **options)
    try:
        yield bench
    finally:
        bench.close()


def works(bench, count=20):
    """Have a worker do all kinds of reads: a backlog, single ones that it waits for, what is delayed, results."""
    bench.send(f"for n in range({count}): mark.delay(n)")
    bench.worker("prefork", 2, 4)
    until(lambda: len(bench.done()) == count, 60)
    assert bench.ask("(add.s(1, 2) | add.s(3)).apply_async(countdown=0.3).get(timeout=50)") == 6
    bench.ended()
    assert bench.done() == list(range(count))
    return bench.inspect("channel")


@pytest.mark.slow
class TestAddress:
    def test_redis(self, bench):
        assert works(bench) == [OURS, "Connection", 0]
        assert bench.inspect("requests") == ["gristmill.worker.request:Request"]

    def test_a_database_number(self, server, tmp_path):
        with closing(server.url.removesuffix("0") + "5", tmp_path) as bench:
            assert works(bench) == [OURS, "Connection", 5]
            assert bench.client.connection_pool.connection_kwargs["db"] == 5
            assert list(bench.client.scan_iter(f"{bench.prefix}gm1:*"))
            with Redis.from_url(server.url) as other:
                assert not list(other.scan_iter(f"{bench.prefix}*"))

    def test_a_unix_socket(self, tmp_path_factory, tmp_path):
        path = tmp_path_factory.mktemp("s") / "s"
        command = [program(), "--port", "0", "--unixsocket", path, "--save", "", "--dir", tmp_path]
        with subprocess.Popen([str(word) for word in command], stdout=subprocess.DEVNULL) as server:
            try:
                with closing(
                    f"unix://{path}?db=5",
                    tmp_path,
                    TEST_BROKER=f"gristmill-socket://{path}?db=5",
                    TEST_BACKEND=f"redis+socket://{path}?virtual_host=5",
                ) as bench:
                    until(lambda: answers(bench.client))
                    assert works(bench) == [OURS, "UnixDomainSocketConnection", 5]
            finally:
                server.terminate()

    @pytest.mark.parametrize("protocol", [2, 3])
    def test_either_protocol(self, server, tmp_path, protocol):
        name = f"n{uuid.uuid4().hex}"
        with closing(server.url, tmp_path, options={"protocol": protocol, "client_name": name}) as bench:
            assert works(bench)[0] == OURS
            spoken = [entry["resp"] for entry in bench.client.client_list() if entry["name"] == name]
            assert set(spoken) == {str(protocol)}
            assert len(spoken) >= 3

    def test_two_prefixes_do_not_meet(self, server, tmp_path):
        with closing(server.url, tmp_path) as one, closing(server.url, tmp_path) as other:
            other.send("mark.apply_async((1,), task_id='same'); mark.delay(2)")
            one.send("mark.apply_async((1,), task_id='same').revoke()")
            assert works(one) == [OURS, "Connection", 0]
            assert other.done() == []
            other.worker()
            until(lambda: other.done() == [1, 2], 60)


def answers(client):
    try:
        return client.ping()
    except RedisError:
        return False


def tls(url, **options):
    """How a channel at this address would dial: the class of its connections, and one of them."""
    transport = Connection(url, **options).clone().transport
    assert type(transport) is Transport
    channel = transport.Channel.__new__(transport.Channel)
    channel.connection = transport
    parameters = channel._connparams()
    kind = parameters.pop("connection_class")
    return kind, kind(**{name: value for name, value in parameters.items() if name != "max_connections"})


class TestTLS:
    @pytest.mark.parametrize(
        ("url", "options"),
        [
            ("gristmills://host/1", {}),
            ("gristmills://:secret@host:7000/1?ssl_ca_certs=/ca.pem", {}),
            ("gristmills://host/1?ssl_cert_reqs=CERT_REQUIRED", {}),
            ("gristmills://host/1?ssl_cert_reqs=required", {}),
            ("gristmills://host/1", {"ssl": True}),
            ("gristmill://host/1", {"ssl": True}),
        ],
    )
    def test_is_verified_by_default(self, url, options, caplog):
        kind, connection = tls(url, **options)
        assert kind is SSLConnection
        assert (connection.cert_reqs, connection.check_hostname) == (ssl.CERT_REQUIRED, True)
        assert caplog.text == ""

    @pytest.mark.parametrize("options", [{}, {"ssl": {"ssl_cert_reqs": ssl.CERT_NONE}}])
    def test_is_not_when_the_address_or_the_app_says_so(self, options):
        url = "gristmills://host/1" if options else "gristmills://host/1?ssl_cert_reqs=CERT_NONE"
        kind, connection = tls(url, **options)
        assert kind is SSLConnection
        assert connection.cert_reqs == ssl.CERT_NONE

    def test_is_not_used_without_being_asked_for(self):
        assert tls("gristmill://host/1")[0] is not SSLConnection


class TestGuard:
    def test_a_worker_on_a_queue_of_stock_workers_refuses_to_start(self, server, tmp_path):
        with closing(server.url, tmp_path, options={"stock_queues": ["q"]}) as bench:
            assert bench.worker().wait(60) == 2
            (line,) = bench.log().splitlines()[-1:]
            assert "'q'" in line
            assert "stock_queues" in line

    def test_a_worker_of_ours_whose_transport_was_replaced_refuses_to_start(self, server, tmp_path):
        (tmp_path / "spoiler.py").write_text(
            "from kombu.transport import TRANSPORT_ALIASES\n"
            "TRANSPORT_ALIASES['gristmill'] = 'kombu.transport.redis:Transport'\n"
        )
        environ = {
            **os.environ,
            "PYTHONPATH": str(tmp_path),
            "GRISTMILL_HOME": str(tmp_path / "home"),
            "GRISTMILL_REDIS_URL": server.url,
            "GRISTMILL_TASK_MODULES": "spoiler",
        }
        command = [sys.executable, "-m", "gristmill.worker", "cpu", "--slots", "1"]
        ended = subprocess.run(
            command, env=environ, cwd=PROJECT, capture_output=True, text=True, timeout=60, check=False
        )
        assert ended.returncode == 2
        assert "which can lose messages" in ended.stderr
        assert server.url not in ended.stderr

    def test_tasks_that_fail_with_their_process_are_named(self, server, tmp_path):
        with closing(server.url, tmp_path, {"task_reject_on_worker_lost": False}) as bench:
            bench.worker()
            bench.ready()
            (warning,) = [line for line in bench.log().splitlines() if "reject_on_worker_lost=False" in line]
            assert f"{bench.app}.add" in warning


def test_what_was_loaded_before_the_fork_is_frozen(bench):
    bench.worker("prefork", 1)
    assert bench.ask("frozen.delay().get(timeout=50)") > 50_000


def test_levels_are_strict_where_one_is_prefetched(bench):
    bench.worker("prefork", 1)
    bench.send("mark.apply_async((100,), {'hold': 'one'}, priority=9)")
    until(lambda: bench.begun() == [100], 60)
    bench.send(
        "for n in range(90, 94): mark.apply_async((n,), priority=9)\n"
        "mark.apply_async((50,), priority=5); mark.apply_async((1,)); mark.apply_async((2,), priority=0)\n"
        "mark.apply_async((10,), priority=1)"
    )
    bench.go("one")
    bench.ended()
    assert bench.said("begun") == ["100", "1", "2", "10", "50", "90", "91", "92", "93"]


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def test_flowers_broker_page_shows_what_no_worker_has_taken(bench, tmp_path):
    bench.send("for n in range(3): mark.apply_async((n,), priority=n)")
    port, conf = free_port(), tmp_path / "flowerconfig.py"
    conf.write_text("from gristmill.dashboard.queues import install\ninstall()\n")
    command = [sys.executable, "-m", "celery", "-A", bench.app, "flower", "--address=127.0.0.1", f"--port={port}"]
    environ = {**bench.environ, "FLOWER_UNAUTHENTICATED_API": "true"}
    with subprocess.Popen([*command, f"--conf={conf}"], env=environ, stderr=subprocess.DEVNULL) as flower:
        try:
            page = until(lambda: fetched(f"http://127.0.0.1:{port}/broker"), 60, "Flower's page")
        finally:
            flower.kill()
    # All of them are ready.
    assert re.findall(r"<td[^>]*>\s*(\w+)\s*</td>", page) == ["q", "3", "3"]


def fetched(url):
    try:
        with urlopen(url, timeout=20) as answer:
            return answer.read().decode()
    except OSError:
        return None


MANY = 100_000


def wait_for_many(bench):
    """Let very many messages wait for their time, an hour from now."""
    waits = f"{bench.prefix}gm1:later:q"
    bench.send("mark.apply_async((7,), countdown=3600, task_id='pattern')")
    ((member, due),) = bench.client.zrange(waits, 0, -1, withscores=True)
    with bench.client.pipeline(transaction=False) as pipe:
        for start in range(0, MANY, 1000):
            pipe.zadd(waits, {member.replace("pattern", f"t{n}"): due + n for n in range(start, start + 1000)})
        pipe.execute()
    assert bench.client.zcard(waits) == MANY + 1


def microseconds(bench, lease):
    """What one take that finds nothing costs the server: the least of short rounds, which nothing interrupts."""
    rounds = []
    for _ in range(30):
        bench.client.config_resetstat()
        for _ in range(30):
            taken = lease.scripts.call("take", consumer=lease.consumer, credit=1, create=False, queues=["q"], tags=[])
            assert taken[2] == []
        rounds.append(bench.client.info("commandstats")["cmdstat_evalsha"]["usec_per_call"])
    return min(rounds)


@pytest.mark.slow
def test_very_many_that_wait_cost_a_take_nothing(bench):
    with bench.connect() as connection:
        lease = connection.default_channel.lease
        bench.send("mark.apply_async((7,), countdown=3600)")
        one = microseconds(bench, lease)
        bench.client.delete(f"{bench.prefix}gm1:later:q")
        wait_for_many(bench)
        many = microseconds(bench, lease)
    end_leases()
    assert many < 2 * one + 50


@pytest.mark.slow
def test_very_many_that_wait_cost_a_worker_nothing(bench):
    worker = bench.worker("threads", 2)
    bench.send("for n in range(20): mark.delay(n)")
    until(lambda: len(bench.done()) == 20, 60)
    process = psutil.Process(worker.pid)
    before = process.memory_full_info().uss
    wait_for_many(bench)
    spent = sum(process.cpu_times()[:2])
    bench.send("mark.apply_async((100,), countdown=3); mark.delay(101)")
    until(lambda: bench.done()[20:] == [100, 101], 60)
    assert sum(process.cpu_times()[:2]) - spent < 1
    assert process.memory_full_info().uss - before < 5 << 20
    assert bench.inspect("reserved()") == []
    assert len(bench.inspect("scheduled()")) == 1000, "the first ones of all"
    assert bench.begun()[20:] == [100, 101]
