"""The scripts of docker-compose.sentinel.yml on the private server's program: who may do what at a Sentinel."""

import os
import signal
import subprocess
from contextlib import ExitStack, contextmanager

import pytest
from celery import Celery
from redis import Redis, exceptions

from gristmill.server.connection import connect
from gristmill.server.private import program
from gristmill.server.sentinel import celery_backend
from tests.conftest import until
from tests.support.examples import PROJECT
from tests.support.servers import free_port, redis_server

PRIMARY = "mill"


@pytest.fixture
def place(tmp_path):
    # Its package has redis-cli too.
    redis_server()
    make_secrets(tmp_path)
    return tmp_path


def make_secrets(place):
    subprocess.run(["sh", PROJECT / "bin" / "secrets", place / "secrets"], check=True, capture_output=True)


def make_certificates(place):
    """With them, servers and Sentinels speak TLS only. Nobody looks for the second name here."""
    command = ["sh", PROJECT / "bin" / "certificates", "127.0.0.1,sentinel-1", place / "secrets"]
    subprocess.run(command, check=True, capture_output=True)


def authority(place):
    return place / "secrets" / "ca.pem"


def password(place, role):
    return (place / "secrets" / role).read_text()


@contextmanager
def started(place, script, name, **changes):
    """A process that a script of the compose file starts, with its folders below `place`."""
    home = place / name
    home.mkdir(exist_ok=True)
    text = (PROJECT / "config" / script).read_text()
    changes = {"/run/secrets": place / "secrets", "/data": home, "/tmp/users": home / "users", **changes}
    for old, new in changes.items():
        assert old in text or old == "/tmp/users"
        text = text.replace(old, str(new))
    command, environ = ["sh", "-c", text, script, name], {**os.environ, "MEMORY": "100mb"}
    process = subprocess.Popen(command, env=environ, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        yield
    finally:
        process.send_signal(signal.SIGKILL)
        process.wait()


@contextmanager
def both(place, port, sentinel_port):
    with ExitStack() as stack:
        server = program()
        if authority(place).exists():
            # The private server's program does not speak TLS, and this one is too old for some commands.
            server, users = redis_server(), place / "secrets" / "redis.acl"
            users.write_text(users.read_text().replace("+client|setinfo", ""))
        # A server without data waits, in case it has lost them.
        end = {
            "sleep 15": "sleep 1",
            "+waitaof": "" if authority(place).exists() else "+waitaof",
            "--tls-port 6379": f"--tls-port {port}",
            'exec redis-server "$@"': f'exec {server} "$@" --port {port}',
        }
        stack.enter_context(started(place, "server-of-three.sh", "redis", **end))
        where = {
            "port 26379": f"port {sentinel_port}",
            "redis 6379": f"127.0.0.1 {port}",
            "sentinel announce-ip $1": "",
        }
        stack.enter_context(started(place, "sentinel.sh", "sentinel-1", **where))
        yield


def asking(place, port, role):
    encryption = {"ssl": True, "ssl_ca_certs": str(authority(place))} if authority(place).exists() else {}
    return Redis(
        host="127.0.0.1",
        port=port,
        username=role.removeprefix("redis_"),
        password=password(place, role),
        decode_responses=True,
        **encryption,
    )


def celery_client(url):
    """What Celery's result backend asks the Sentinels with."""
    backend, options, encryption = celery_backend(url)
    app = Celery(backend=backend, set_as_current=False)
    if encryption:
        app.conf.redis_backend_use_ssl = encryption
    app.conf.result_backend_transport_options = options
    return app.backend.client


def seen(place, port):
    """Whether the Sentinel has logged in to the server, and has read its role."""
    with asking(place, port, "redis_sentinel") as client:
        try:
            state = client.sentinel_master(PRIMARY)
        except exceptions.RedisError:
            return False
        return state["role-reported"] == "master" and "runid" in state and len(state["runid"]) == 40


@pytest.mark.parametrize("encrypted", [False, True])
def test_each_role_may_ask_where_the_primary_is_and_nothing_else(place, encrypted):
    port, sentinel_port, scheme, trust = free_port(), free_port(), "redis-sentinel", ""
    if encrypted:
        make_certificates(place)
        scheme, trust = "rediss-sentinel", f"&ssl_ca_certs={authority(place)}"
    for _ in range(2):
        with both(place, port, sentinel_port):
            until(lambda: seen(place, sentinel_port), 60, "a Sentinel that sees the server")
            for role in ("worker", "producer", "dashboard", "program_worker"):
                with asking(place, sentinel_port, f"redis_{role}") as client:
                    assert client.sentinel_get_master_addr_by_name(PRIMARY) == ("127.0.0.1", port)
                    for forbidden in ("SENTINEL SET mill quorum 1", "SENTINEL FAILOVER mill", "ACL LIST", "SHUTDOWN"):
                        with pytest.raises(exceptions.NoPermissionError):
                            client.execute_command(*forbidden.split())
            refusal = exceptions.ConnectionError if encrypted else exceptions.AuthenticationError
            with Redis(port=sentinel_port) as stranger, pytest.raises(refusal):
                stranger.execute_command("SENTINEL", "MASTER", PRIMARY)
            secret = password(place, "redis_worker")
            where = f"worker:{secret}@127.0.0.1:{sentinel_port}/0?name=mill&sentinel_username=worker{trust}"
            url = f"{scheme}://{where}"
            with connect(url) as client:
                assert client.ping()
            assert celery_client(url).ping()
        # Another start has the passwords that the secrets have by then.
        for secret in ("redis_sentinel", "redis_worker"):
            (place / "secrets" / secret).unlink()
        make_secrets(place)
