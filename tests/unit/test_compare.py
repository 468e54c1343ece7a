"""What `compare` makes of its figures: sentences, tables with bars, a picture; and what it measures with."""

import io
import json
import re
import subprocess
import sys
import threading
from types import SimpleNamespace

import psutil
import pytest
from rich.console import Console

from gristmill.cli import demo
from gristmill.cli.announce import _finding
from gristmill.cli.output.chart import bar, say, show
from gristmill.demo import sizes, work
from gristmill.demo.findings import findings
from gristmill.demo.methods import METHODS
from gristmill.demo.one_core import Measurement, measure
from gristmill.demo.row import Row
from gristmill.demo.sizes import lasting, longest_share, seconds_each
from gristmill.demo.way import ways
from gristmill.demo.work import Workload
from gristmill.errors import GristmillError
from gristmill.tasks.kind import Kind
from tests.conftest import until

NUMBERS = work.fibonacci([30, 29, 28, 27] * 8)
WAITS = Workload(Kind.IO, "waiting: 32 × 0.1 s", "pause", [0.1] * 32, waits=True)
FILES = Workload(Kind.IO, "files: 100 digests of 4 MiB", "digest", ["file"] * 100)


def rows(chosen, *figures, cores=2, gil=True):
    """Rows of one work from seconds and busy cores: alone, threads (both ways), Pool, thread and process worker."""
    alone, threads, pool, thread_worker, process_worker = figures
    given = [alone, threads, threads, pool, thread_worker, process_worker]
    return [
        Row(chosen, way, Measurement(seconds, seconds * busy, None if "worker" in way.name else gil), alone[0])
        for way, (seconds, busy) in zip(ways(16, cores), given, strict=True)
    ]


#: As on a quiet host of two cores.
COMPUTED = rows(NUMBERS, (10, 1), (11, 1), (5, 1.98), (11, 1.01), (5.2, 1.95))
WAITED = rows(WAITS, (3.2, 0), (0.2, 0.02), (1.6, 0.01), (0.3, 0.1), (1.7, 0.05))
HASHED = rows(FILES, (1, 1), (0.5, 1.9), (0.55, 1.9), (0.6, 1.8), (0.6, 1.8))

THREADS_SHARE = "CPU-bound: 16 threads were no faster than one (0.91×), with 1.00 cores busy: "
PROCESSES_WIN = "CPU-bound: 2 processes were 2.00× as fast as one, with 1.98 cores busy"


def test_what_a_quiet_host_shows():
    waited = (
        "16 threads were 16.00× as fast as one, with 0.02 cores busy; 2 processes were 2.00× as fast as one, with 0.01"
    )
    hashed = (
        "16 threads were 2.00× as fast as one, with 1.90 cores busy; 2 processes were 1.82× as fast as one, with 1.90"
    )
    ahead = "the process worker was ahead at CPU-bound (1.92× to 0.91×); "
    ahead += "the thread worker was ahead at waiting (10.67× to 1.88×)"
    assert findings(COMPUTED + WAITED + HASHED) == [
        f"{THREADS_SHARE}Python's GIL lets one thread of a process compute at a time.",
        f"{PROCESSES_WIN}: each has an interpreter, and a GIL, of its own.",
        f"waiting: {waited} cores busy: a task that waits needs no core, so threads are enough.",
        f"files: {hashed} cores busy: threads use the cores too, for reading and hashing release the GIL.",
        f"workers: {ahead}; neither was ahead at files (1.67× to 1.67×).",
    ]


def test_what_a_python_without_a_gil_shows():
    said = findings(rows(NUMBERS, (10, 1), (5.2, 1.95), (5, 1.98), (5.3, 1.9), (5.2, 1.95), gil=False))
    assert said == [
        "CPU-bound: 16 threads were 1.92× as fast as one, with 1.95 cores busy: this Python has no GIL.",
        f"{PROCESSES_WIN}.",
        "workers: neither was ahead at CPU-bound (1.92× to 1.89×).",
    ]
    said = findings(rows(FILES, (1, 1), (0.5, 1.9), (0.55, 1.9), (0.6, 1.8), (0.6, 1.8), gil=False))
    assert said[0].endswith(": threads use the cores too.")


def test_what_one_core_shows():
    alike = [(10, 1)] * 5
    for gil in (True, False):
        threads, processes, _ = findings(rows(NUMBERS, *alike, cores=1, gil=gil))
        assert ("GIL" in threads) is gil
        assert processes == (
            "CPU-bound: 1 process was no faster than one (1.00×), with 1.00 cores busy: "
            "this host lets the command use one core."
        )
    assert findings(rows(FILES, *alike, cores=1))[0].endswith(": this host lets the command use one core.")


def test_what_the_numbers_of_the_tutorial_show():
    """One of them is most of the work, whatever runs them."""
    tutorial = work.fibonacci([30, 35, 40, 45])
    why = "the longest item is 91 % of the work, and one item runs in one process."
    said = findings(rows(tutorial, (110, 1), (115, 1), (100, 1.1), (115, 1), (101, 1.1)))
    assert said[1] == f"CPU-bound: 2 processes were no faster than one (1.10×), with 1.10 cores busy: {why}"
    # Faster, and yet not as fast as there are cores.
    said = findings(rows(work.fibonacci([30, 30, 30]), (9, 1), (9, 1), (4, 2.9), (9, 1), (4, 2.9), cores=4))
    assert said[1].endswith(": the longest item is 33 % of the work, and one item runs in one process.")


def test_what_a_busy_host_shows():
    said = findings(rows(NUMBERS, (10, 0.99), (10, 1), (9, 1.1), (10, 1), (9, 1.1)))
    assert said[1].endswith(": other programs had the cores, or there was too little work to share.")
    said = findings(rows(NUMBERS, (10, 0.99), (8, 1), (5, 1.9), (8, 1), (5, 1.9)))
    assert said[0].endswith(", so this is chance; measure again on a quieter host.")
    disturbed = rows(NUMBERS, (10, 0.23), (7, 0.35), (10, 0.24), (4, 0.7), (10, 0.3))
    said = findings(disturbed + WAITED)
    assert said[0].startswith("CPU-bound: one item after another had 0.23 of a core: other programs had the rest")
    assert [line.partition(":")[0] for line in said] == ["CPU-bound", "waiting", "workers"]
    assert "CPU-bound" not in said[2]
    assert len(findings(disturbed)) == 1


def test_what_there_was_too_little_of():
    one = Workload(Kind.IO, "waiting: 1 × 0.1 s", "pause", [0.1], waits=True)
    said = findings(rows(one, *[(0.1, 0)] * 5))
    assert said[0].endswith("no faster than one (1.00×), with 0.00 cores busy: there was too little to wait for.")
    ahead = rows(WAITS, (3.2, 0), (0.2, 0), (0.1, 0), (0.2, 0), (0.1, 0), cores=32)
    assert findings(ahead)[0].endswith(": processes were ahead.")


def console(width=80, encoding="utf-8", terminal=True):
    return Console(
        file=io.TextIOWrapper(io.BytesIO(), encoding=encoding, newline="\n"),
        width=width,
        force_terminal=terminal,
        color_system=None,
        legacy_windows=False,
    )


def shown(rows, view):
    show(rows, view)
    say(findings(rows)[-1], view)
    view.file.flush()
    return view.file.buffer.getvalue().decode(view.encoding)


@pytest.mark.parametrize("width", [90, 120, 200])
def test_bars_are_as_long_as_the_terminal_has_room(width):
    lines = shown(COMPUTED, console(width)).splitlines()
    assert len(lines[3].rstrip()) == width
    bars = [line.count("█") for line in lines[2:8]]
    # Seconds: 10, 11, 11, 5, 11, 5.2.
    assert bars[1] == bars[2] == bars[4] > bars[0] > bars[5] >= bars[3]
    assert bars[3] == pytest.approx(bars[1] * 5 / 11, abs=1)
    assert max(map(len, lines)) <= width


def test_a_narrow_terminal_has_no_bars():
    text = shown(COMPUTED, console(76))
    assert "█" not in text
    assert "process worker, 2 processes" in text


def test_a_pipe_has_bars_of_40_characters():
    lines = shown(WAITED, console(240, terminal=False)).splitlines()
    assert lines[0].rstrip() == "waiting: 32 × 0.1 s"
    assert lines[2].count("█") == 40
    assert "16.00×" in lines[3]


@pytest.mark.parametrize("encoding", ["ascii", "latin-1"])
def test_what_is_not_utf_8_gets_ascii(encoding):
    text = shown(WAITED, console(240, encoding, terminal=False))
    assert text.isascii()
    assert "waiting: 32 x 0.1 s" in text
    assert "16.00x" in text
    assert "#" * 40 in text


def test_a_bar_has_a_mark_at_least():
    assert [bar(share, 4, plain=False) for share in (0, 0.5, 0.53, 1)] == ["▏", "██", "██▏", "████"]
    assert [bar(share, 4, plain=True) for share in (0, 0.5, 1)] == ["#", "##", "####"]


@pytest.mark.parametrize("suffix", ["svg", "png"])
def test_the_picture(tmp_path, suffix):
    picture = pytest.importorskip("gristmill.demo.picture")
    path = tmp_path / f"picture.{suffix}"
    picture.draw(COMPUTED + WAITED, path)
    begins = {"svg": b"<?xml", "png": b"\x89PNG"}[suffix]
    assert path.read_bytes().startswith(begins)
    if suffix == "svg":
        assert "multiprocessing.Pool, 2 processes" in path.read_text()


@pytest.mark.parametrize("seconds", [0.1, 3, 10, 600])
def test_numbers_last_as_long_as_they_are_to(monkeypatch, seconds):
    monkeypatch.setattr(sizes, "timed", lambda *_: 0.002)
    numbers = lasting(80, 8, seconds, int)
    estimate = seconds_each(int)
    assert seconds <= sum(map(estimate, numbers)) < seconds + estimate(max(numbers))
    assert 40 <= len(numbers) <= 80
    assert len(set(numbers)) == 8


def test_the_longest_of_the_numbers():
    assert longest_share([7]) == 1
    assert longest_share([30, 30]) == 0.5


def test_a_work_says_what_it_is():
    assert work.fibonacci([31, 30]).title == "CPU-bound: 2 Fibonacci numbers, F(30) to F(31)"
    assert work.fibonacci([30]).title == "CPU-bound: 1 Fibonacci number, F(30)"
    assert (work.waiting(6).title, work.waiting(6).name) == ("waiting: 32 × 0.1 s", "waiting")
    assert len(work.waiting(0.1).items) == 1
    assert [way.label for way in ways(16, 1)][3:] == [
        "multiprocessing.Pool, 1 process",
        "thread worker, 16 threads",
        "process worker, 1 process",
    ]


def test_announcing_says_what_the_times_show():
    assert _finding(4, 2) == (
        "one after the other 4.00 s, in two threads 2.00 s: while one thread waited, the other spoke."
    )
    assert _finding(2, 1.9).endswith(": nothing was gained, for there was too little to wait for.")


@pytest.mark.parametrize("method", ["sequential", "threading", "ThreadPoolExecutor"])
def test_every_item_is_done_once(method):
    done, names = [], set()

    def note(item):
        done.append(item)
        names.add(threading.current_thread())

    METHODS[method](note, range(100), 4)
    assert sorted(done) == list(range(100))
    assert (threading.main_thread() in names) is (method == "sequential")


@pytest.mark.parametrize("method", METHODS)
def test_what_is_measured(method):
    took = measure(method, "pause", [0.2] * 4, 4)
    assert took.gil is not None
    assert took.cpu_seconds < took.seconds
    assert took.seconds >= (0.8 if method == "sequential" else 0.2)


@pytest.mark.parametrize("method", METHODS)
def test_an_item_that_fails_is_told(method):
    with pytest.raises(GristmillError, match=f"^{re.escape(method)} failed: .*No such file"):
        measure(method, "digest", ["missing"] * 3, 2)


def test_what_measures_ends_with_its_owner():
    """Its pool too, also when the owner is killed: standard input closes then."""
    asked = {"method": "multiprocessing.Pool", "task": "pause", "items": [600, 600], "width": 2}
    argv = [sys.executable, "-P", "-m", "gristmill.demo.methods"]
    with subprocess.Popen(argv, stdin=subprocess.PIPE, stdout=subprocess.DEVNULL, start_new_session=True) as process:
        process.stdin.write(json.dumps(asked).encode() + b"\n")
        process.stdin.flush()
        family = psutil.Process(process.pid)
        children = until(lambda: len(found := family.children()) == 2 and found, what="a pool of two")
        process.stdin.close()
        until(lambda: not any(child.is_running() for child in children), what="the end of the pool")


@pytest.mark.parametrize(("cpu_seconds", "disturbed"), [(0.5, True), (0.97, False)])
def test_the_demo_says_when_other_programs_had_the_core(monkeypatch, capsys, cpu_seconds, disturbed):
    monkeypatch.setattr(demo, "measure", lambda *_: Measurement(1.0, cpu_seconds))
    parts = [demo.Part(task, task, [1] * count) for task, count in demo.SAMPLES.items()]
    info = SimpleNamespace(created=0.0, finished=2.0)
    demo._show_times(parts, [info] * len(parts))
    assert (f"had {cpu_seconds:.2f} of a core" in capsys.readouterr().err) is disturbed
