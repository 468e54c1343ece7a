"""The owner of a home: its server ends with it, however either dies, and the next owner finds everything."""

import os
import signal
import subprocess
import sys
import threading
import time
from contextlib import contextmanager, suppress
from pathlib import Path

import psutil
import pytest

from gristmill.config.settings import Settings
from gristmill.errors import ServerError
from gristmill.server.connection import connect, locate
from gristmill.server.home import Home
from gristmill.server.owner import own_server
from gristmill.server.private import READY_SECONDS, PrivateServer
from tests.conftest import until
from tests.support.forked import popen
from tests.support.homes import kill, processes

PROJECT = Path(__file__).parents[2]

#: An owner that Ctrl-C does not end, and that has a child which it does not end either.
STUBBORN = """
import signal, subprocess, time
from gristmill.server.home import Home
from gristmill.server.owner import own_server
from gristmill.config.settings import settings

with own_server(Home(settings().home), "gristmill up", settings()):
    signal.signal(signal.SIGINT, lambda *_: print("Ctrl-C", flush=True))
    child = subprocess.Popen(["sleep", "60"], preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_IGN))
    print(child.pid, flush=True)
    while True: time.sleep(60)
"""


@contextmanager
def owner(*command: str):
    """A process that owns the home's server, as the leader of a process group, which is killed in the end."""
    arguments = command or ("-P", "-m", "gristmill.server")
    with popen(
        [sys.executable, *arguments],
        env=os.environ,
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
            assert f"`python -m gristmill.server` (pid {winner.pid}) is running in" in loser.stderr.read()
            running(home, winner)

    def test_a_home_that_cannot_be_used(self, home, monkeypatch):
        home.path.touch()
        with owner() as process:
            assert process.wait(20) == 3
            assert "cannot be used" in process.stderr.read()

    def test_announces_its_dashboard(self, home):
        with own_server(home, "gristmill up", Settings(), Path("/data")) as owned:
            owned.announce(dashboard="http://127.0.0.1:5555")
            before = owned.server.pid
            kill(before)
            until(lambda: home.running().server_pid != before)
            found = home.running()
            assert found.dashboard == "http://127.0.0.1:5555"
            assert (found.data_root, found.server_pid) == ("/data", owned.server.pid)
        assert home.running() is None

    def test_it_may_itself_wait_for_the_server_that_died(self, home):
        said = []
        with own_server(home, "gristmill run", Settings(), say=said.append) as owned, connect(owned.url) as client:
            for number in range(1, 4):
                kill(owned.server.pid)
                assert client.incr("count") == number
                until(lambda: len(said) == number, what="a line")  # noqa: B023
        assert {line.partition(";")[0] for line in said} == {"the server had died and was started again"}

    def test_it_learns_that_the_server_starts_no_more(self, home):
        with own_server(home, "gristmill run", Settings()) as owned:
            for manifest in owned.server.directory.glob("*/*.manifest"):
                manifest.write_text("garbage\n")
            kill(owned.server.pid)
            with pytest.raises(ServerError, match="ended at its start"):
                until(owned.check, what="an error")

    def test_it_ends_while_the_server_starts(self, home, tmp_path, monkeypatch):
        mute = tmp_path / "mute"
        mute.write_text("#!/bin/sh\nexec sleep 600\n")
        mute.chmod(0o700)
        with own_server(home, "gristmill run", Settings()) as owned:
            monkeypatch.setattr(owned.server, "_binary", mute)
            kill(owned.server.pid)
            until(lambda: any("sleep" in process.cmdline() for process in processes(home)), what="another start")
            began = time.monotonic()
        assert time.monotonic() - began < READY_SECONDS / 2

    def test_nobody_takes_a_server_that_starts_for_a_stranger(self, home, monkeypatch):
        """Its process is there before its id is known: who ends all others has to wait for that."""
        known = []

        def guarded(command, start=PrivateServer._guarded):
            guard = start(server, command)
            ask.start()
            ask.join(0.5)
            return guard

        def pids():
            with server.known_pids() as found:
                known.append(found)

        server, ask = PrivateServer(home, Settings()), threading.Thread(target=pids)
        monkeypatch.setattr(server, "_guarded", guarded)
        with server:
            ask.join()
            assert known == [{server._guard.pid}]

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
