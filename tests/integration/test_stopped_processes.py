"""The worker ends a process that is stopped beyond the time limit of its item, and no other."""

import ctypes
import os
import signal
import subprocess
import sys
import time
from dataclasses import replace

import pytest

from gristmill.worker import stopped_processes
from gristmill.worker.runs.rows import VARIABLE, RunRows
from gristmill.worker.stopped_processes import end_stopped_processes

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="needs Linux")
SECONDS = 10.0


@pytest.fixture
def stopped(monkeypatch):
    """Starts a process whose item has run for SECONDS, with a time limit, and is stopped; its id."""
    rows = RunRows()
    monkeypatch.setenv(VARIABLE, "")
    rows.make(1)
    monkeypatch.setattr(stopped_processes, "run_rows", rows)
    pids = []

    def start(limit: float, *, traced: bool = False) -> int:
        pid = os.fork()
        if not pid:
            try:
                # A command that ran in this process before may have left another handler.
                signal.signal(signal.SIGTERM, signal.SIG_DFL)
                row = rows.table.row(0)
                row.limit = limit
                row.begin("b", 7, 1, time.perf_counter() - SECONDS)
                if traced:
                    ctypes.CDLL(None).ptrace(0, 0, 0, 0)
                os.kill(os.getpid(), signal.SIGSTOP)
                signal.pause()
            finally:
                os._exit(1)
        pids.append(pid)
        assert os.waitid(os.P_PID, pid, os.WSTOPPED | os.WNOWAIT)
        return pid

    return start


def ends_by(pid: int) -> int:
    """The signal that ends a process: SIGTERM, if nothing has ended it before."""
    os.kill(pid, signal.SIGTERM)
    os.kill(pid, signal.SIGCONT)
    return -os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])


@pytest.mark.parametrize(
    ("limit", "number"), [(SECONDS / 2, signal.SIGKILL), (SECONDS * 60, signal.SIGTERM), (0, signal.SIGTERM)]
)
def test_a_stopped_process_ends_at_the_limit_of_its_item(stopped, limit, number):
    pid = stopped(limit)
    end_stopped_processes()
    assert ends_by(pid) == number


def test_a_process_that_waits_for_its_tracer_ends_without_a_limit(stopped):
    pid = stopped(0, traced=True)
    end_stopped_processes()
    assert ends_by(pid) == signal.SIGKILL


def test_a_process_that_is_stopped_while_it_runs_nothing_ends_soon(stopped, monkeypatch):
    pid = stopped(SECONDS * 60)
    stopped_processes.run_rows.table.row(0).rest()
    end_stopped_processes([pid])
    assert os.waitid(os.P_PID, pid, os.WSTOPPED | os.WEXITED | os.WNOWAIT | os.WNOHANG).si_status == signal.SIGSTOP
    monkeypatch.setattr(stopped_processes, "IDLE_SECONDS", 0)
    end_stopped_processes([pid])
    assert ends_by(pid) == signal.SIGKILL


def test_a_process_that_is_stopped_while_its_child_runs_an_item_goes_on(stopped, monkeypatch):
    pid = stopped(0)
    monkeypatch.setattr(stopped_processes, "IDLE_SECONDS", -1)
    # As in quarantine: the row has the child's number.
    child = subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE)
    with child:
        run = next(stopped_processes.run_rows.table.runs())
        runs = iter([replace(run, pid=child.pid)])
        monkeypatch.setattr(stopped_processes.run_rows.table, "runs", lambda: runs)
        monkeypatch.setattr(stopped_processes, "status", lambda number: ("T", pid if number == child.pid else 1, 0))
        end_stopped_processes([pid])
        child.communicate(b"\n")
    assert ends_by(pid) == signal.SIGTERM


def test_one_that_went_on_in_between_goes_on(stopped, monkeypatch):
    pid = stopped(SECONDS * 60)
    stopped_processes.run_rows.table.row(0).rest()
    end_stopped_processes([pid])
    monkeypatch.setattr(stopped_processes, "IDLE_SECONDS", 0)
    looks = [False, True]
    monkeypatch.setattr(stopped_processes, "_is_stopped", lambda _: looks.pop(0))
    end_stopped_processes([pid])
    end_stopped_processes([pid])
    assert not looks
    assert ends_by(pid) == signal.SIGTERM


def test_a_process_that_runs_goes_on(stopped):
    pid = stopped(SECONDS / 2)
    os.kill(pid, signal.SIGCONT)
    end_stopped_processes()
    assert ends_by(pid) == signal.SIGTERM


def test_a_process_that_has_got_the_number_of_one_below_this_goes_on(stopped, monkeypatch):
    pid = stopped(SECONDS / 2)
    monkeypatch.setattr(stopped_processes, "descendants", lambda _: [])
    end_stopped_processes()
    assert ends_by(pid) == signal.SIGTERM
