"""A command that is forked does what it does when Python starts it."""

import os
import signal
import subprocess
import sys

import pytest

from tests.support.command import Place
from tests.support.forked import GRISTMILL, PRELOADED, Forked, _at_start, can_fork, run_to_end, start

REPORT = """
import os, sys
print(sys.argv, __name__, os.getcwd(), sys.stdin.read(), sys.path[:2], sys.dont_write_bytecode)
print(sorted({*os.environ} - {"LC_CTYPE"}))
print("to stderr", file=sys.stderr)
"""
#: A thread that ends when Python is about to wait for it.
WAITED_FOR = """
import threading
is_over = threading.Event()
threading.Thread(target=is_over.wait).start()
threading._register_atexit(is_over.set)
"""
PYTHON = [sys.executable, "-c"]


@pytest.mark.parametrize(
    "command",
    [
        [GRISTMILL, "--version"],
        [GRISTMILL, "no-such-command"],
        [*PYTHON, REPORT, "word"],
        [sys.executable, "-P", "-c", REPORT],
        [*PYTHON, "raise SystemExit(3)"],
        [*PYTHON, "import atexit; atexit.register(print, 'at the end'); exit('with a word')"],
        [*PYTHON, WAITED_FOR],
        [*PYTHON, "import os, signal; os.kill(os.getpid(), signal.SIGTERM)"],
        [*PYTHON, "import os, signal; print(signal.getsignal(signal.SIGINT))"],
        [*PYTHON, "import multiprocessing; print(multiprocessing.get_start_method())"],
    ],
    ids=lambda command: " ".join(command[1:])[:40],
)
def test_it_prints_and_ends_alike(command, tmp_path):
    environ = {"PATH": os.environ["PATH"], "HOME": str(tmp_path), "PYTHONPATH": str(tmp_path / "modules")}
    # Those with which Python has to start as here.
    environ |= _at_start(os.environ)
    assert can_fork(command, environ)
    started = subprocess.run(command, input=b"input", capture_output=True, cwd=tmp_path, env=environ, check=False)
    code, out, err = run_to_end(command, b"input", tmp_path, environ, 60)
    assert (code, out.decode(), err.decode()) == (started.returncode, started.stdout.decode(), started.stderr.decode())


def test_what_runs_too_long_is_ended(tmp_path):
    with pytest.raises(subprocess.TimeoutExpired):
        run_to_end([*PYTHON, "import time; time.sleep(60)"], None, tmp_path, os.environ, 0.2)


MODULE = """
import os, sys
print(__name__, sys.argv[1:], os.getcwd(), sys.path[0], os.getsid(0) == os.getpid(), sys.stdin.read() == "", flush=True)
sys.stderr.write("to stderr")
"""


@pytest.mark.parametrize("safe", [[], ["-P"]])
@pytest.mark.parametrize(("end", "code"), [("exit(3)", 3), ("import os; os.kill(os.getpid(), 9)", -9)])
def test_a_module_that_runs_on_begins_and_ends_alike(tmp_path, monkeypatch, safe, end, code):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("PYTHONPATH", str(tmp_path / "modules"))
    (tmp_path / "modules").mkdir()
    (tmp_path / "modules" / "mill_module.py").write_text(f"{MODULE}\n{end}\n")
    command = [sys.executable, *safe, "-m", "mill_module", "word"]
    texts = []
    # Python reads this variable when it starts, so the second is not forked.
    for more in ({}, {"PYTHONWARNINGS": "default"}):
        environ = {**os.environ, **more}
        with (tmp_path / f"log{len(texts)}").open("w+b") as log:
            process = start(command, environ, log)
            assert isinstance(process, Forked) is not bool(more)
            assert process.wait(60) == process.poll() == code
            log.seek(0)
            texts.append(log.read().decode())
    assert texts[0] == texts[1] != ""


def test_it_is_not_forked_when_python_has_to_start_for_it():
    assert can_fork([GRISTMILL, "run"], os.environ)
    assert can_fork([*PYTHON, "pass"], {**os.environ, "PYTHONPATH": "/modules"})
    assert not can_fork([*PYTHON, "pass"], {**os.environ, "PYTHONIOENCODING": "ascii"})
    assert not can_fork([sys.executable, "-m", "gristmill"], os.environ)
    assert not can_fork([sys.executable, "-P", "-m", "gristmill"], os.environ)
    assert can_fork([sys.executable, "-P", "-m", "gristmill.worker", "cpu"], os.environ)
    assert not can_fork([sys.executable, "-P", "-m", "gristmill.worker", "x:gevent", "gevent"], os.environ)
    assert not can_fork(["bash", "-c", "true"], os.environ)


def test_the_parts_of_a_fleet_are_forked_and_its_children(tmp_path):
    place = Place(tmp_path)
    with place.up("cpu", "--cpu-slots", "1") as running:
        worker = place.worker("cpu")
        assert (worker.ppid(), worker.cmdline()[1:5]) == (running.pid, ["-P", "-m", "gristmill.worker", "cpu"])
        # What it was started with is what its fork server was.
        assert "GRISTMILL_HOME" not in worker.environ()
        running.end(signal.SIGKILL)
    place.deserted()


def test_what_is_loaded_before_reads_no_setting_and_changes_nothing():
    code = f"""
import sys, {", ".join(PRELOADED)}
from gristmill.config.settings import settings
assert not settings.cache_info().misses
from kombu.transport import TRANSPORT_ALIASES
assert not [name for name in TRANSPORT_ALIASES if "gristmill" in name]
from celery import _state
print([*_state._apps, *(name for name in ("gristmill.broker", "gristmill.cli.console") if name in sys.modules)])
"""
    # Whoever reads the settings raises an error.
    environ = {**os.environ, "GRISTMILL_IO_SLOTS": "no number"}
    done = subprocess.run([*PYTHON, code], env=environ, capture_output=True, text=True, check=False)
    assert (done.stdout, done.stderr) == ("[]\n", "")
