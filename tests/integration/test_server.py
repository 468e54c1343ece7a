"""The private server: what it keeps, how it starts and stops, and the connection to it."""

import os
import signal
import socket
import stat
import subprocess
import sys
import time
from contextlib import suppress
from pathlib import Path

import psutil
import pytest
from redis import ConnectionPool, Redis, RedisError

from gristmill.config.settings import Settings
from gristmill.errors import ServerError
from gristmill.server import private as private_server
from gristmill.server.connection import connect, reaching
from gristmill.server.owner import own_server
from gristmill.server.private import PrivateServer
from gristmill.server.waiting import Policy
from tests.conftest import until
from tests.support.homes import kill, processes

PROJECT = Path(__file__).parents[2]


@pytest.fixture
def private(home):
    with PrivateServer(home, Settings()) as private:
        yield private


class TestServer:
    def test_starts_and_stops(self, home):
        private = PrivateServer(home, Settings())
        assert not private.alive
        with private, connect(private.url) as client:
            assert private.alive
            assert client.info()["process_id"] == private.pid
        assert not private.alive
        assert not psutil.pid_exists(private.pid)
        private.stop()

    @pytest.mark.parametrize("has_its_port", [True, False])
    def test_ends_at_once_and_by_its_guard_where_another_server_has_its_port(self, home, has_its_port):
        with PrivateServer(home, Settings()) as private:
            if not has_its_port:
                private.pid = os.getpid()
        assert not private.alive
        assert ("SIGTERM" in private.log.read_text()) is not has_its_port

    def test_a_connection_asks_for_nothing_that_the_server_refuses(self, private):
        with connect(private.url) as client, connect(private.url) as other:
            refused, pool = client.info("errorstats"), other.connection_pool
            other.ping()
            # As the pools of a heartbeat and of a replica are made.
            Redis(connection_pool=ConnectionPool(pool.connection_class, **pool.connection_kwargs)).ping()
            assert client.info("errorstats") == refused

    def test_its_configuration_is_in_force(self, private):
        with connect(private.url) as client:
            found = client.config_get("*")
        wanted = {
            "appendonly": "yes",
            "appendfsync": "always",
            "save": "",
            "maxmemory-policy": "noeviction",
            "bind": "127.0.0.1",
            "dir": str(private.directory),
            "hash-max-listpack-value": "1024",
        }
        assert {name: found[name] for name in wanted} == wanted

    def test_the_password_is_needed_and_kept_secret(self, home, private):
        password = private.url.split("@")[0].rpartition(":")[2]
        assert len(password) == 43
        for url in (f"redis://127.0.0.1:{private.port}", f"redis://:wrong@127.0.0.1:{private.port}"):
            began = time.monotonic()
            with (
                pytest.raises(ServerError, match="refuses the login"),
                reaching(url),
                connect(url, Policy(60)) as client,
            ):
                client.ping()
            assert time.monotonic() - began < 50, "a refused login was tried again"
        assert not any(password in " ".join(process.cmdline()) for process in processes(home))
        for file in (home.path / "server").rglob("*"):
            if file.is_file() and password.encode() in file.read_bytes():
                assert stat.S_IMODE(file.stat().st_mode) == 0o600
                assert file.name == "valkey.conf"

    def test_data_survives(self, home):
        for count in (1, 2):
            with PrivateServer(home, Settings()) as private, connect(private.url) as client:
                assert client.incr("count") == count

    def test_after_its_death_it_starts_again_as_it_was(self, private):
        url, pid = private.url, private.pid
        with connect(url) as client:
            client.set("key", "value")
            kill(pid)
            until(lambda: not private.alive)
            private.restart()
            assert client.get("key") == "value"
        assert private.url == url
        assert private.pid != pid

    def test_it_lives_without_its_guard_and_still_stops(self, home):
        with PrivateServer(home, Settings()) as private:
            kill(psutil.Process(private.pid).ppid())
            with connect(private.url) as client:
                assert client.ping()
            assert private.alive
        assert not private.alive

    def test_it_is_killed_when_it_does_not_stop(self, private):
        os.kill(private.pid, signal.SIGSTOP)
        private.stop(timeout=0.2)
        assert not private.alive

    def test_a_lost_race_for_the_port(self, home, monkeypatch):
        with socket.create_server((private_server.HOST, 0)) as taken:
            ports = [taken.getsockname()[1], private_server._free_port()]
            monkeypatch.setattr(private_server, "_free_port", lambda: ports.pop(0))
            with PrivateServer(home, Settings()) as private, connect(private.url) as client:
                assert client.ping()
        assert ports == []

    def test_a_start_that_fails_says_why(self, home):
        with PrivateServer(home, Settings()):
            pass
        (home.path / "server/appendonlydir/appendonly.aof.manifest").write_text("rubbish\n")
        with pytest.raises(ServerError, match=r"ended at its start: .*manifest.* \(log: /.*/log\)") as raised:
            PrivateServer(home, Settings()).start()
        assert "\n" not in str(raised.value)

    def test_reading_much_data_back_is_waited_for(self, home, monkeypatch):
        with PrivateServer(home, Settings()) as private, connect(private.url) as client:
            client.mset({str(number): "x" for number in range(1000)})
            client.bgrewriteaof()
            until(lambda: not client.info()["aof_rewrite_in_progress"])
        monkeypatch.setattr(private_server, "READY_SECONDS", 0.5)
        slow = "key-load-delay 1000\nloading-process-events-interval-bytes 1024\n"
        config = private_server.server_config
        monkeypatch.setattr(private_server, "server_config", lambda *given: config(*given) + slow)
        began = time.monotonic()
        with PrivateServer(home, Settings()) as private, connect(private.url) as client:
            assert time.monotonic() - began > 0.9
            assert client.dbsize() == 1000

    def test_full_memory_is_told(self, home):
        with PrivateServer(home, Settings(server_memory=3 << 20)) as private, connect(private.url) as client:
            megabyte = "x" * (1 << 20)
            with suppress(RedisError):
                for number in range(10):
                    client.set(str(number), megabyte)
            with pytest.raises(ServerError, match="is full"), reaching(private.url):
                client.set("more", megabyte)
            with pytest.raises(ServerError, match="is full"), reaching(private.url):
                client.eval("redis.call('set', 'more', ARGV[1])", 0, megabyte)


class TestConnection:
    def test_a_blocking_read_is_waited_for(self, private):
        with connect(private.url) as client:
            began = time.monotonic()
            assert not client.xread({"stream": "$"}, block=5000)
            assert time.monotonic() - began > 4.9

    def test_nobody_there(self):
        url = f"redis://:secret@127.0.0.1:{private_server._free_port()}"
        began = time.monotonic()
        with pytest.raises(ServerError, match="no server answers"), reaching(url), connect(url, Policy(0.3)) as it:
            it.ping()
        assert time.monotonic() - began > 0.3

    def test_no_answer(self):
        with socket.create_server(("127.0.0.1", 0)) as mute:
            url = f"redis://127.0.0.1:{mute.getsockname()[1]}"
            client = connect(url, answer_seconds=0.2)
            with pytest.raises(ServerError, match="does not answer in time"), reaching(url), client:
                client.ping()

    def test_a_forked_process_gets_a_client_of_its_own(self, home):
        with own_server(home, "gristmill up", Settings()):
            forking = (
                "import os; from gristmill.server.connection import client\n"
                "a = client(); a.set('key', '1'); pid = os.fork()\n"
                "assert (client() is a) == (pid != 0); client().incr('key')\n"
                "if pid: assert os.waitpid(pid, 0)[1] == 0; print(client().get('key'))"
            )
            done = subprocess.run(
                [sys.executable, "-c", forking], cwd=PROJECT, capture_output=True, text=True, check=False
            )
        assert (done.stdout, done.returncode) == ("3\n", 0), done.stderr
