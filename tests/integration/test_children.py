"""A process of this host that dies takes with it what it has started."""

import os
import signal

import psutil
import pytest

from gristmill.local.log_file import LogFile
from gristmill.local.processes import Child
from tests.conftest import until

MODULE = """
import os, subprocess, time
program = subprocess.Popen(["sleep", "600"])
if not os.fork():
    time.sleep(600)
print(program.pid, flush=True)
time.sleep(600)
"""


@pytest.fixture
def child(tmp_path):
    (tmp_path / "starts_a_program.py").write_text(MODULE)
    child = Child("worker", ["starts_a_program"], {"PYTHONPATH": str(tmp_path)}, LogFile(tmp_path / "log"))
    yield child
    child.kill()


def test_the_programs_of_a_process_that_was_killed_end_with_it(child, tmp_path):
    until((tmp_path / "log").read_text, what="the program")
    family = psutil.Process(child.pid).children(recursive=True)
    assert len(family) == 2
    os.kill(child.pid, signal.SIGKILL)
    assert until(child.keep_alive, what="the end") == -signal.SIGKILL
    _, alive = psutil.wait_procs(family, timeout=5)
    assert not [process for process in alive if process.status() != psutil.STATUS_ZOMBIE]
