"""The private server: what it keeps, and that it ends with its owner, however either dies."""

import os
import signal
import socket
import stat
import subprocess
import sys
import time
from contextlib import contextmanager, suppress
from pathlib import Path

import psutil
import pytest
from conftest import until
from redis import RedisError

from broker import connection, server
from broker.connection import connect, locate, reaching
from broker.home import Home
from broker.owner import own_server
from broker.server import EmbeddedServer
from config.errors import ServerError
from config.settings import Settings, settings

PROJECT = Path(__file__).parents[2]

#: An owner that Ctrl-C does not end, and that has a child which it does not end either.
STUBBORN = """
import signal, subprocess, time
from broker.home import Home
from broker.owner import own_server
from config.settings import settings

with own_server(Home(settings().home), "gristmill up", settings()):
    signal.signal(signal.SIGINT, lambda *_: print("Ctrl-C", flush=True))
    child = subprocess.Popen(["sleep", "60"], preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_IGN))
    print(child.pid, flush=True)
    while True: time.sleep(60)
"""


def processes(home: Home) -> list[psutil.Process]:
    """The live processes of the home's server: itself, its guard, its watcher."""
    found = []
    for process in psutil.process_iter():
        with suppress(psutil.Error, OSError):
            if process.cwd() == str(home.path / "server") and process.status() != psutil.STATUS_ZOMBIE:
                found.append(process)
    return found


@pytest.fixture
def home(tmp_path, monkeypatch):
    """A home that is the settings' own; nothing may run in it after the test."""
    home = Home(tmp_path / "a [home] of 'mine'")
    monkeypatch.setenv("GRISTMILL_HOME", str(home.path))
    monkeypatch.delenv("GRISTMILL_REDIS_URL", raising=False)
    settings.cache_clear()
    yield home
    settings.cache_clear()
    try:
        until(lambda: not processes(home), seconds=5)
    finally:
        for process in processes(home):
            process.kill()


@pytest.fixture
def private(home):
    with EmbeddedServer(home, Settings()) as private:
        yield private


@contextmanager
def owner(*command: str):
    """A process that owns the home's server, as the leader of a process group, which is killed in the end."""
    arguments = command or ("-m", "broker")
    with subprocess.Popen(
        [sys.executable, *arguments],
        cwd=PROJECT,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    ) as process:
        try:
            yield process
        finally:
            with suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)


def running(home: Home, process: subprocess.Popen):
    """What `server.json` says once `process` has the home and its server running."""

    def announced():
        assert process.poll() is None, process.stderr.read()
        found = home.running()
        return found if found and found.pid == process.pid else None

    return until(announced)


def kill(pid: int) -> None:
    os.kill(pid, signal.SIGKILL)


class TestServer:
    def test_starts_and_stops(self, home):
        private = EmbeddedServer(home, Settings())
        assert not private.alive
        with private, connect(private.url) as client:
            assert private.alive
            assert client.info()["process_id"] == private.pid
        assert not private.alive
        assert not psutil.pid_exists(private.pid)
        private.stop()

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
            with pytest.raises(ServerError, match="refuses the login"), reaching(url), connect(url) as client:
                client.ping()
            assert time.monotonic() - began < 2, "a refused login was tried again"
        assert not any(password in " ".join(process.cmdline()) for process in processes(home))
        for file in (home.path / "server").rglob("*"):
            if file.is_file() and password.encode() in file.read_bytes():
                assert stat.S_IMODE(file.stat().st_mode) == 0o600
                assert file.name == "valkey.conf"

    def test_data_survives(self, home):
        for count in (1, 2):
            with EmbeddedServer(home, Settings()) as private, connect(private.url) as client:
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
        with EmbeddedServer(home, Settings()) as private:
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
        with socket.create_server((server.HOST, 0)) as taken:
            ports = [taken.getsockname()[1], server._free_port()]
            monkeypatch.setattr(server, "_free_port", lambda: ports.pop(0))
            with EmbeddedServer(home, Settings()) as private, connect(private.url) as client:
                assert client.ping()
        assert ports == []

    def test_a_start_that_fails_says_why(self, home):
        with EmbeddedServer(home, Settings()):
            pass
        (home.path / "server/appendonlydir/appendonly.aof.manifest").write_text("rubbish\n")
        with pytest.raises(ServerError, match=r"ended at its start: .*manifest.* \(log: /.*/log\)") as raised:
            EmbeddedServer(home, Settings()).start()
        assert "\n" not in str(raised.value)

    def test_reading_much_data_back_is_waited_for(self, home, monkeypatch):
        with EmbeddedServer(home, Settings()) as private, connect(private.url) as client:
            client.mset({str(number): "x" for number in range(1000)})
            client.bgrewriteaof()
            until(lambda: not client.info()["aof_rewrite_in_progress"])
        monkeypatch.setattr(server, "READY_SECONDS", 0.5)
        slow = "key-load-delay 1000\nloading-process-events-interval-bytes 1024\n"
        config = server.server_config
        monkeypatch.setattr(server, "server_config", lambda *given: config(*given) + slow)
        began = time.monotonic()
        with EmbeddedServer(home, Settings()) as private, connect(private.url) as client:
            assert time.monotonic() - began > 0.9
            assert client.dbsize() == 1000

    def test_full_memory_is_told(self, home):
        with EmbeddedServer(home, Settings(server_memory=3 << 20)) as private, connect(private.url) as client:
            megabyte = "x" * (1 << 20)
            with suppress(RedisError):
                for number in range(10):
                    client.set(str(number), megabyte)
            with pytest.raises(ServerError, match="is full"), reaching(private.url):
                client.set("more", megabyte)
            with pytest.raises(ServerError, match="is full"), reaching(private.url):
                client.eval("redis.call('set', 'more', ARGV[1])", 0, megabyte)


class TestOwner:
    def test_the_foreground_server(self, home):
        with owner() as process:
            found = running(home, process)
            with connect(locate()) as client:
                assert client.info()["process_id"] == found.server_pid
            process.terminate()
            assert process.wait(20) == 0
            assert "listens on 127.0.0.1" in process.stderr.read()
        assert home.read() is None

    def test_it_starts_the_server_again(self, home):
        with owner() as process:
            found = running(home, process)
            with connect(found.url) as client:
                client.set("key", "value")
                kill(found.server_pid)
                assert client.get("key") == "value"
            until(lambda: home.read().server_pid != found.server_pid)
            assert home.read().url == found.url
            process.terminate()
            assert process.wait(20) == 0
            assert "was started again" in process.stderr.read()

    def test_one_of_two_owners_wins(self, home):
        with owner() as one, owner() as other:
            loser = until(lambda: next((each for each in (one, other) if each.poll() is not None), None))
            winner = other if loser is one else one
            assert loser.returncode == 2
            assert f"`python -m broker` (pid {winner.pid}) is running in" in loser.stderr.read()
            running(home, winner)

    def test_a_home_that_cannot_be_used(self, home, monkeypatch):
        home.path.touch()
        with owner() as process:
            assert process.wait(20) == 3
            assert "cannot be used" in process.stderr.read()

    def test_announces_its_dashboard(self, home):
        with own_server(home, "gristmill up", Settings(), Path("/data")) as owned:
            owned.announce(dashboard="http://127.0.0.1:5555")
            kill(owned.server.pid)
            assert until(owned.revive)
            found = home.running()
            assert found.dashboard == "http://127.0.0.1:5555"
            assert (found.data_root, found.server_pid) == ("/data", owned.server.pid)
        assert home.running() is None

    def test_killed_it_takes_the_server_along(self, home):
        with owner() as process:
            running(home, process)
            process.kill()
            until(lambda: not processes(home))
        assert home.read() is not None
        with pytest.raises(ServerError, match="no server is running"):
            locate()

    def test_killed_after_the_guard_it_still_does(self, home):
        with owner() as process:
            found = running(home, process)
            guard = psutil.Process(found.server_pid).ppid()
            kill(guard)
            with connect(found.url) as client:
                assert client.ping()
            process.kill()
            until(lambda: not processes(home))

    def test_the_next_one_may_start_at_once(self, home):
        for count in range(1, 4):
            with owner() as process:
                found = running(home, process)
                with connect(found.url) as client:
                    assert client.incr("count") == count

    def test_the_next_one_waits_for_a_server_that_is_still_ending(self, home):
        with owner() as process:
            found = running(home, process)
            os.kill(found.server_pid, signal.SIGSTOP)
        with owner() as process:
            until(lambda: home.holder() and home.holder().pid == process.pid)
            assert home.running() is None
            os.kill(found.server_pid, signal.SIGCONT)
            assert running(home, process).server_pid != found.server_pid

    def test_ctrl_c_ends_it_in_order(self, home):
        with owner() as process:
            running(home, process)
            os.killpg(process.pid, signal.SIGINT)
            assert process.wait(20) == 0
        assert home.read() is None
        assert "ready to exit" in (home.path / "server/log").read_text()

    def test_neither_ctrl_c_nor_a_child_of_the_owner_matters_to_the_server(self, home):
        with owner("-c", STUBBORN) as process:
            child = psutil.Process(int(process.stdout.readline()))
            found = running(home, process)
            os.killpg(process.pid, signal.SIGINT)
            assert process.stdout.readline() == "Ctrl-C\n"
            with connect(found.url) as client:
                assert client.info()["process_id"] == found.server_pid
            process.kill()
            until(lambda: not processes(home))
            assert child.status() == psutil.STATUS_SLEEPING


class TestConnection:
    def test_a_blocking_read_is_waited_for(self, private):
        with connect(private.url) as client:
            began = time.monotonic()
            assert not client.xread({"stream": "$"}, block=5000)
            assert time.monotonic() - began > 4.9

    def test_nobody_there(self):
        url = f"redis://:secret@127.0.0.1:{server._free_port()}"
        began = time.monotonic()
        with pytest.raises(ServerError, match="no server answers"), reaching(url), connect(url, patience=0.3) as it:
            it.ping()
        assert 0.3 < time.monotonic() - began < 3

    def test_no_answer(self, monkeypatch):
        monkeypatch.setattr(connection, "ANSWER_SECONDS", 0.2)
        with socket.create_server(("127.0.0.1", 0)) as mute:
            url = f"redis://127.0.0.1:{mute.getsockname()[1]}"
            with pytest.raises(ServerError, match="does not answer in time"), reaching(url), connect(url) as it:
                it.ping()

    def test_a_forked_process_gets_a_client_of_its_own(self, home):
        with own_server(home, "gristmill up", Settings()):
            forking = (
                "import os; from broker.connection import client; a = client(); a.set('key', '1'); pid = os.fork()\n"
                "assert (client() is a) == (pid != 0); client().incr('key')\n"
                "if pid: assert os.waitpid(pid, 0)[1] == 0; print(client().get('key'))"
            )
            done = subprocess.run(
                [sys.executable, "-c", forking], cwd=PROJECT, capture_output=True, text=True, check=False
            )
        assert (done.stdout, done.returncode) == ("3\n", 0), done.stderr
