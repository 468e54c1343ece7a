"""Processes below processes, for the tests that end them."""

import os
import signal
import subprocess
import sys
import time
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import psutil
import pytest

from tests.conftest import until

#: A process that starts a program, a fork and a daemon that leaves its session; it writes their ids, and waits.
SCRIPT = """
import os, subprocess, sys, time
from gristmill.local.descendants import become_subreaper
become_subreaper()
pids = [subprocess.Popen(["sleep", "600"]).pid]
def fork():
    reading, writing = os.pipe()
    if pid := os.fork():
        return pid, int(os.read(reading, 20))
    return 0, writing
pid, number = fork()
if not pid:
    os.write(number, b"0")
    time.sleep(600)
pids.append(pid)
pid, number = fork()
if not pid:
    os.setsid()
    daemon = os.fork()
    if daemon:
        os.write(number, b"%d" % daemon)
        os._exit(0)
    os.environ.clear()
    time.sleep(600)
pids.append(number)
os.waitpid(pid, 0)
open(sys.argv[1] + ".part", "w").write(" ".join(map(str, pids)))
os.rename(sys.argv[1] + ".part", sys.argv[1])
time.sleep(600)
"""


@contextmanager
def family(path: Path) -> Iterator[tuple[int, list[int]]]:
    """The id of a process, and those of a program, a fork and a daemon that it has started."""
    note = path / "pids"
    process = subprocess.Popen([sys.executable, "-c", SCRIPT, str(note)], start_new_session=True)
    pids: list[int] = []
    try:
        until(note.exists, what="the family")
        pids = list(map(int, note.read_text().split()))
        yield process.pid, pids
    finally:
        for pid in (process.pid, *pids):
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        process.wait()


def runs(pid: int) -> bool:
    """Whether a process runs; one that has ended and was not waited for does not."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] not in "ZX"
    except OSError:
        return False


def ended(pids: list[int]) -> bool:
    """Whether none of these processes runs."""
    return not any(map(runs, pids))


def in_fork(function: Callable[[], object]) -> str:
    """What `function` answers, as text, in a fork of this process; or what it raises."""
    reading, writing = os.pipe()
    pid = os.fork()
    if not pid:
        try:
            answer = repr(function())
        except BaseException as error:
            answer = f"raised {error!r}"
        os.write(writing, answer.encode())
        os._exit(0)
    os.close(writing)
    with os.fdopen(reading) as pipe:
        answer = pipe.read()
    deadline = time.monotonic() + 60
    while os.waitpid(pid, os.WNOHANG)[0] == 0:
        assert time.monotonic() < deadline
        time.sleep(0.01)
    return answer


@pytest.fixture(autouse=True)
def may_fork() -> Iterator[None]:
    """Lets a module's tests fork: Python 3.12 warns of a fork beside threads, and what forks there starts none."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)
        yield


def sleeping(seconds: str) -> list[int]:
    """The programs `sleep SECONDS` of this machine."""
    return [
        one.pid
        for one in psutil.process_iter(["cmdline", "status"])
        if one.info["cmdline"] == ["sleep", seconds] and one.info["status"] != psutil.STATUS_ZOMBIE
    ]
