"""The users of config/redis.acl: each may do what it has to, and not what it must not, on a real server."""

import re
import signal
import sys
import urllib.request
from contextlib import suppress

import pytest
from redis import Redis
from redis.exceptions import NoPermissionError

from gristmill.local.fleet import free_port
from tests.conftest import until
from tests.support.examples import PROJECT
from tests.support.roles import ROLES, lines, roles, words

CELERY = """
from celery import chain, chord, group
from gristmill.tasks import catalog
from gristmill.tasks.application import app
from gristmill.tasks.fibonacci import fibonacci
from gristmill.tasks.pause import pause

catalog.load()
assert pause.delay(0.01).get(timeout=20) == 0.01
assert group(pause.s(0.01) for _ in range(3))().get(timeout=20) == [0.01] * 3
assert chain(pause.s(0.01), pause.si(0.02))().get(timeout=20) == 0.02
assert chord([fibonacci.s(5), fibonacci.s(6)], pause.si(0.01))().get(timeout=20) == 0.01
pause.apply_async((1,), countdown=60).revoke()
pause.apply_async((0.01,), countdown=0.5).get(timeout=20)
assert len(app.control.ping(timeout=2)) == 2
assert app.control.purge() >= 0
"""


@pytest.fixture(scope="module")
def served(tmp_path_factory):
    with roles(tmp_path_factory.mktemp("roles")) as running:
        yield running


def allowed(role):
    return {word.partition("|")[0][1:] for word in words(lines()[role]) if word.startswith("+")}


@pytest.fixture(params=["", "shop:"], ids=["plain", "prefix"])
def prefixed(request, tmp_path):
    """A server of its own, whose users have their rights below a key prefix."""
    path = tmp_path / "server"
    path.mkdir()
    with roles(path, request.param) as running:
        yield running


@pytest.mark.slow
def test_each_role_can_do_its_work(place, prefixed):
    """Workers, commands, Celery's canvas and control, and the dashboard run, and the server refuses nothing."""
    served = prefixed

    def at(role, *module):
        return place.started([sys.executable, "-P", "-m", *module], **served.settings(role))

    producer = served.settings("producer")
    with at("worker", "gristmill.worker", "cpu", "--slots", "1") as cpu, at("worker", "gristmill.worker", "io") as io:
        until(lambda: served.admin.zcard(f"{served.prefix}gm1:workers") == 2, what="two workers")
        with at("dashboard", "gristmill.dashboard", "--port", "0") as dashboard:
            first = ("--name", "first", "--follow", "--notify", "http://hooks.invalid/")
            place.run("submit", "fibonacci", "20", "21", *first, **producer).good()
            for command in (["batches"], ["results", "first"], ["workers"], ["watch", "first"], ["delete", "first"]):
                place.run(*command, **producer).good()
            doctor = until(lambda: tells_of_notices(place.run("doctor", "--json", **producer)), what="a try to notify")
            assert {row["state"] for row in doctor.rows if row["check"] == "persistence"} == {"AOF, appendfsync always"}
            assert place.process([sys.executable, "-P", "-c", CELERY], **producer).err == ""
            assert dashboard.process.poll() is None, dashboard.err
            dashboard.end(signal.SIGTERM)
        for worker in (cpu, io):
            done = worker.end(signal.SIGTERM)
            assert "Permission" not in done.err, done.err
    assert served.denied() == []


def tells_of_notices(doctor):
    """What doctor says, once a worker has tried to send a notice; no name ends with .invalid."""
    return doctor if any(row["check"] == "notices" for row in doctor.rows) else None


def stored(served):
    """All that is on the server, but who listens to Celery's events, what the dashboard measures, and what expires."""
    others = (b"_kombu.binding", b"gm1:meters:", b"gm1:healing")
    with Redis.from_url(served.server.url) as client:
        return {key: client.dump(key) for key in client.scan_iter() if not key.startswith(others)}


def test_a_viewer_sees_the_dashboard_and_changes_nothing(place, served):
    served.admin.execute_command("ACL", "LOG")
    before, port = stored(served), free_port("127.0.0.1", 0)
    environ = {"GRISTMILL_REDIS_URL": served.url("viewer"), "GRISTMILL_DASHBOARD_READ_ONLY": "true"}
    command = [sys.executable, "-P", "-m", "gristmill.dashboard", "--port", str(port)]
    with place.started(command, **environ) as dashboard:

        def page(path):
            assert dashboard.process.poll() is None, dashboard.err
            with suppress(OSError), urllib.request.urlopen(f"http://127.0.0.1:{port}/{path}", timeout=5) as answer:
                return answer.read()

        for path in ("throughput", "throughput/data", "batches", "batches/data", "metrics", "workers"):
            assert until(lambda path=path: page(path), what=f"the page {path}")
        # Flower asks the workers what they are when it starts: that is a message too.
        until(lambda: any("viewer" in line for line in served.denied()), what="a refusal")
        dashboard.end(signal.SIGTERM)
    assert stored(served) == before


NOBODY = [
    ("FLUSHALL",), ("FLUSHDB",), ("CONFIG", "SET", "maxmemory", "0"), ("ACL", "LIST"), ("ACL", "SETUSER", "me"),
    ("KEYS", "*"), ("MONITOR",), ("SHUTDOWN",), ("SCRIPT", "FLUSH"), ("FUNCTION", "LIST"),
    ("REPLICAOF", "NO", "ONE"), ("BGREWRITEAOF",), ("CLIENT", "KILL", "ID", "1"),
    ("SET", "elsewhere", "1"), ("GET", "elsewhere"), ("PUBLISH", "elsewhere", "1"),
    ("RENAME", "gm1:batches", "gm1:b"), ("MIGRATE", "h", "1", "k", "0", "1"),
]  # fmt: skip


@pytest.mark.parametrize("role", ROLES)
@pytest.mark.parametrize("command", NOBODY, ids=" ".join)
def test_what_nobody_may(served, role, command):
    with served.client(role) as client, pytest.raises(NoPermissionError):
        client.execute_command(*command)


@pytest.mark.parametrize(
    ("role", "command"),
    [
        ("worker", ("CONFIG", "GET", "appendfsync")),
        *((role, ("CLIENT", "LIST")) for role in ("producer", "worker", "dashboard", "viewer")),
        *((role, ("SLOWLOG", "GET")) for role in ("producer", "worker", "dashboard", "viewer")),
        ("admin", ("SLOWLOG", "RESET")),
        ("admin", ("LATENCY", "RESET")),
        ("admin", ("ACL", "LOG")),
        ("viewer", ("PUBLISH", "/0.gristmill.pidbox", "{}")),
        ("viewer", ("XADD", "gm1:q:cpu:0", "*", "m", "{}")),
        ("viewer", ("SET", "gm1:schema", "2")),
        ("viewer", ("SADD", "_kombu.binding.cpu", "x")),
        ("viewer", ("EVAL", "return redis.call('DEL', 'gm1:batches')", "0")),
    ],
    ids=str,
)
def test_what_one_role_may_not(served, role, command):
    with served.client(role) as client, pytest.raises(Exception, match=r"(?i)permission|ACL failure"):
        client.execute_command(*command)


LOOKS = (
    *("INFO", "SLOWLOG GET", "SLOWLOG LEN", "LATENCY LATEST", "LATENCY HISTORY command", "MEMORY STATS"),
    *("MEMORY USAGE gm1:batches", "MEMORY DOCTOR", "CLIENT LIST", "CONFIG GET appendfsync", "DBSIZE"),
)


@pytest.mark.parametrize("command", LOOKS)
def test_the_admin_looks_at_the_server(served, command):
    with served.client("admin") as client:
        client.execute_command(*command.split())


def test_the_admin_may_all_that_a_producer_may():
    assert set(words(lines()["producer"])) <= set(words(lines()["admin"]))


def test_nobody_comes_in_without_a_name():
    lines_of_all = (PROJECT / "config" / "redis.acl").read_text().splitlines()
    (line,) = [line for line in lines_of_all if line.startswith("user default ")]
    # Off, but with all rights: the server reads its AOF as this user.
    assert line == "user default off resetpass ~* &* +@all"


@pytest.mark.parametrize("role", ["producer", "worker", "dashboard", "admin"])
def test_every_command_of_our_scripts_is_allowed(role):
    scripts = [
        path.read_text()
        for room in ("broker", "batches")
        for path in (PROJECT / "gristmill" / room / "lua").glob("*.lua")
    ]
    called = {name.lower() for text in scripts for name in re.findall(r"redis\.p?call\('(\w+)'", text)}
    assert len(called) > 30
    assert called - allowed(role) == set()
