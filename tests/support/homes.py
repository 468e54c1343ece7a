"""A home directory for a test, and what runs in it: nothing may, after the test."""

import os
import signal
from contextlib import contextmanager, suppress

import psutil

from gristmill.config.settings import settings
from gristmill.server.home import Home
from tests.conftest import until


def kill(pid: int) -> None:
    os.kill(pid, signal.SIGKILL)


def runs(process: psutil.Process) -> bool:
    """Whether a process has not ended; it may end meanwhile."""
    with suppress(psutil.NoSuchProcess):
        return process.is_running() and process.status() != psutil.STATUS_ZOMBIE
    return False


def processes(home: Home) -> list[psutil.Process]:
    """The live processes of the home's server: itself, its guard, its watcher."""
    processes = []
    for process in psutil.process_iter():
        with suppress(psutil.Error, OSError):
            if process.cwd() == str(home.path / "server") and process.status() != psutil.STATUS_ZOMBIE:
                processes.append(process)
    return processes


@contextmanager
def watched_home(tmp_path, monkeypatch):
    """A home that is the settings' own; when processes are left in it, they are killed and the test fails."""
    home = Home(tmp_path / "a [home] of 'mine'")
    monkeypatch.setenv("GRISTMILL_HOME", str(home.path))
    monkeypatch.delenv("GRISTMILL_REDIS_URL", raising=False)
    settings.cache_clear()
    yield home
    settings.cache_clear()
    try:
        until(lambda: not processes(home))
    finally:
        for process in processes(home):
            process.kill()
