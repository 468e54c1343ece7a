"""What an item writes is told apart, bounded and redacted."""

import subprocess
import sys
import threading

import pytest

from gristmill.config.settings import settings
from gristmill.worker import capture

#: Runs in a process of its own: captures it, then prints the log of each item on the process's own stderr.
PROCESS = """
import ctypes, os, subprocess, sys
from gristmill.worker import capture
own = capture.capture_process()
def item(function, captures=True, keep=True):
    capture.current().begin(captures)
    function()
    os.write(own, ascii(capture.current().end(keep)).encode() + b"\\n")
item(lambda: print("one"))
item(lambda: None)
item(lambda: (sys.stdout.write("a"), sys.stderr.write("b")))
item(lambda: ctypes.CDLL(None).printf(b"from C"))
item(lambda: subprocess.run(["echo", "child"]))
item(lambda: print("not kept"), keep=False)
item(lambda: print("not captured"), captures=False)
print("between items", flush=True)
item(lambda: None)
capture.current().begin(True)
for _ in range(300): os.write(1, b"y" * 100_000)
log = capture.current().end(True)
os.write(own, b"%d %d\\n" % (len(log), os.fstat(1).st_size))
"""


@pytest.fixture
def _settings(monkeypatch):
    yield
    settings.cache_clear()
    capture._pattern.cache_clear()


def test_a_process_tells_apart_what_its_items_write():
    done = subprocess.run([sys.executable, "-c", PROCESS], capture_output=True, text=True, check=True)
    *lines, sizes = done.stderr.splitlines()
    assert lines == [
        *("'one\\n'", "None", "'ab'", "'from C'", "'child\\n'", "None"),
        *("not captured", "None", "between items", "None"),
    ]
    length, size = map(int, sizes.split())
    assert settings().log_bytes < length < settings().log_bytes + 100
    assert size == 0


def test_threads_have_a_log_each(monkeypatch):
    monkeypatch.setattr(sys, "stdout", capture.ItemStream(sys.stdout))
    items, both, logs = capture.ThreadCapture(), threading.Barrier(2), {}

    def run(name):
        items.begin(True)
        both.wait(10)
        sys.stdout.write(f"{name}\n")
        sys.stdout.buffer.write(b"bytes")
        both.wait(10)
        logs[name] = items.end(True)

    threads = [threading.Thread(target=run, args=(name,)) for name in "ab"]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert logs == {"a": "a\nbytes", "b": "b\nbytes"}


def test_a_thread_keeps_the_end_of_too_much(monkeypatch):
    monkeypatch.setattr(sys, "stdout", capture.ItemStream(sys.stdout))
    items = capture.ThreadCapture()
    items.begin(True)
    for _ in range(40):
        sys.stdout.write("x" * 100_000 + "\n")
    sys.stdout.write("the end\n")
    log = items.end(True)
    assert log.startswith("[about 3,9")
    assert log.endswith("the end\n")


@pytest.mark.usefixtures("_settings")
def test_a_pattern_is_redacted_before_the_text_is_cut(monkeypatch):
    monkeypatch.setenv("GRISTMILL_REDACT", r"key=\S+")
    monkeypatch.setenv("GRISTMILL_LOG_BYTES", "20")
    settings.cache_clear()
    capture._pattern.cache_clear()
    log = capture.log_text(b"key=" + b"s" * 30 + b" and the end", 0)
    assert log == "*** and the end"
    assert "s=" not in capture.log_text(b"half a secret\nkey=secret\n", 5)
