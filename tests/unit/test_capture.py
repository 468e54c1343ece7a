"""What an item writes is told apart, bounded and redacted."""

import subprocess
import sys
import threading

import pytest

from gristmill.config.settings import settings
from gristmill.worker.output import log_text, thread_capture

#: Runs in a process of its own: captures it, then prints the log of each item on the process's own stderr.
PROCESS = """
import ctypes, os, subprocess, sys
from gristmill.worker.output import capture
own = capture.capture_process()
def item(function, captures=True, keep=True):
    capture.current().begin("b", 1, captures)
    function()
    os.write(own, ascii(capture.current().end(keep)).encode() + b"\\n")
item(lambda: print("one"))
item(lambda: None)
item(lambda: (sys.stdout.write("a"), sys.stderr.write("b")))
item(lambda: sys.stdout.buffer.write(b"bytes"))
item(lambda: sys.stderr.buffer.writelines([b"more ", b"bytes"]))
item(lambda: ctypes.CDLL(None).printf(b"from C"))
item(lambda: subprocess.run(["echo", "child"]))
item(lambda: print("not kept"), keep=False)
item(lambda: print("not captured"), captures=False)
print("between chunks", flush=True)
capture.current().rest()
item(lambda: None)
capture.current().begin("b", 1, True)
for _ in range(300): os.write(1, b"y" * 100_000)
log = capture.current().end(True)
os.write(own, b"%d %d\\n" % (len(log), os.fstat(1).st_size))
"""

#: One long write, and text of a child program that goes on while the beginning of its output is dropped.
BOUNDED = """
import os, subprocess, sys
from gristmill.worker.output import capture
from gristmill.worker.output import output_file
own = capture.capture_process()
items = capture.current()
items.begin("b", 1, True)
print("z" * (64 << 20), flush=True)
room = os.fstat(1).st_blocks * 512
items.end(True)
items.begin("b", 1, True)
child = subprocess.Popen("i=0; while [ $i -lt 20000 ]; do echo line $i; i=$((i+1)); done", shell=True)
while child.poll() is None:
    size = os.fstat(1).st_size
    items._file.drop(max(0, size - 1000))
log = items.end(True)
numbers = [int(line.split()[1]) for line in log.splitlines()[1:] if line.startswith("line")]
whole = numbers == list(range(numbers[0], 20000))
os.write(own, b"%d %d %d\\n" % (room, whole, len(numbers)))
"""

#: When a process looks at what was written there: while it is idle, then from a chunk's start on, while its item runs.
LOOKS = """
import os, time
from gristmill.worker.output import capture, process_capture
from gristmill.worker.output.live_lines import LiveLines
process_capture.IDLE_SECONDS = min(process_capture.IDLE_SECONDS, 1.0)
looks = []
LiveLines.send = lambda _: looks.append(time.monotonic())
own = capture.capture_process()
items = capture.current()
def look_seconds(number):
    del looks[:]
    while len(looks) <= number:
        time.sleep(0.01)
    return (looks[number] - looks[0]) / number
idle = look_seconds(2)
items.rest()
items.begin("b", 1, True)
running = look_seconds(5)
items.end(True)
os.write(own, b"%f %f\\n" % (idle, running))
"""

#: Two processes of a pool, one in the place of the other, which ended in the middle of an item.
KILLED = """
import os
from gristmill.worker.output import capture
from gristmill.worker import logs
from gristmill.worker.output.output_file import new_file
from gristmill.worker.pool.equipment import PoolEquipment
logs.set_up()
slot = PoolEquipment(files=[new_file()]).of_slot(0, "cpu@host/1")
for item in (lambda: (print("last words"), os.kill(os.getpid(), 9)), lambda: print("nothing to tell")):
    child = os.fork()
    if not child:
        slot.capture()
        capture.current().begin("b", 1, True)
        item()
        capture.current().end(True)
        os._exit(0)
    os.waitpid(child, 0)
"""


@pytest.fixture
def _settings(monkeypatch):
    yield
    settings.cache_clear()
    log_text._pattern.cache_clear()


def test_a_process_tells_apart_what_its_items_write():
    done = subprocess.run([sys.executable, "-c", PROCESS], capture_output=True, text=True, check=True)
    *lines, sizes = done.stderr.splitlines()
    assert lines == [
        *("'one\\n'", "None", "'ab'", "'bytes'", "'more bytes'", "'from C'", "'child\\n'", "None"),
        *("not captured", "None", "between chunks", "None"),
    ]
    length, size = map(int, sizes.split())
    assert settings().log_bytes < length < settings().log_bytes + 100
    assert size == 0


def test_an_idle_process_seldom_looks_at_what_was_written():
    done = subprocess.run([sys.executable, "-c", LOOKS], capture_output=True, text=True, check=True, timeout=60)
    idle, running = map(float, done.stderr.split())
    assert idle > 0.9
    assert running < 0.5


def test_threads_have_a_log_each(monkeypatch):
    monkeypatch.setattr(sys, "stdout", thread_capture.ItemStream(sys.stdout))
    items, both, logs = thread_capture.ThreadCapture(), threading.Barrier(2), {}

    def run(name):
        items.begin("b", 1, True)
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
    monkeypatch.setattr(sys, "stdout", thread_capture.ItemStream(sys.stdout))
    items = thread_capture.ThreadCapture()
    items.begin("b", 1, True)
    for _ in range(40):
        sys.stdout.write("x" * 100_000 + "\n")
    sys.stdout.write("the end\n")
    assert len(thread_capture._written.get().text) <= thread_capture.MOST_BYTES + 100_001, "of 4 MB"
    log = items.end(True)
    assert log.startswith("[about 3,9")
    assert log.endswith("the end\n")


@pytest.mark.usefixtures("_settings")
def test_a_pattern_is_redacted_before_the_text_is_cut(monkeypatch):
    monkeypatch.setenv("GRISTMILL_REDACT", r"key=\S+")
    monkeypatch.setenv("GRISTMILL_LOG_BYTES", "20")
    settings.cache_clear()
    log_text._pattern.cache_clear()
    log = log_text.log_text(b"key=" + b"s" * 30 + b" and the end", 0)
    assert log == "*** and the end"
    assert "s=" not in log_text.log_text(b"half a secret\nkey=secret\n", 5)


def test_a_long_output_takes_little_room_and_its_end_is_whole():
    done = subprocess.run([sys.executable, "-c", BOUNDED], capture_output=True, text=True, check=True)
    room, whole, lines = map(int, done.stderr.split())
    assert room <= 4 << 20
    assert whole
    assert lines > 100


def test_the_log_of_the_worker_has_what_an_item_wrote_that_killed_its_process():
    done = subprocess.run([sys.executable, "-c", KILLED], capture_output=True, text=True, check=True)
    assert "last words" in done.stderr
    assert "nothing to tell" not in done.stderr
