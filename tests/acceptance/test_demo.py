"""`gristmill demo`, `compare` and `announce`: they end by themselves or when asked to, and leave nothing."""

import json
import os
import signal
from pathlib import Path

import pytest

from tests.conftest import until


@pytest.fixture
def temporary(place):
    """The directory for temporary files of the place."""
    path = place.path / "tmp"
    path.mkdir()
    place.environ["TMPDIR"] = str(path)
    return path


def shown(temporary):
    """Wait until the home below the directory has a dashboard."""

    def addresses():
        files = [file for file in temporary.rglob("server.json") if file.stat().st_size]
        return [address for file in files if (address := json.loads(file.read_text())["dashboard"])]

    until(addresses, what="a dashboard")


def left(place, temporary):
    """What is left of a command that has ended."""
    return [*place.processes(), *temporary.iterdir(), *([place.home.path] if place.home.path.exists() else [])]


class TestDemo:
    @pytest.mark.slow
    @pytest.mark.timeout(300)
    def test_it_shows_everything_and_leaves_nothing(self, place, temporary):
        with place.start("demo") as running:
            done = running.end(seconds=280).good()
        assert "dashboard: http://127.0.0.1:" in done.err
        assert "680 items submitted, 680 results, each checked; lost 0, duplicates 0" in done.err
        assert "where the time went" in done.err
        table = [line for line in done.out.splitlines() if not line.startswith("{")]
        assert table[0].split() == ["work", "items", "seconds", "one", "core", "alone", "speed-up"]
        assert [line.split("  ")[0] for line in table[1:4]] == ["CPU-bound", "I/O-bound", "together"]
        assert left(place, temporary) == []

    @pytest.mark.parametrize("number", [signal.SIGINT, pytest.param(signal.SIGTERM, marks=pytest.mark.slow)])
    def test_interrupted_it_leaves_nothing(self, place, temporary, number):
        with place.start("demo") as running:
            shown(temporary)
            done = running.end(number)
        assert (done.code, done.out) == (130, ""), done
        assert "Traceback" not in done.err
        assert left(place, temporary) == []

    def test_interrupted_while_it_starts_it_leaves_nothing(self, place, temporary):
        with place.start("demo") as running:
            until(lambda: [*temporary.rglob("server")], what="the directory of a server")
            done = running.end(signal.SIGINT)
        assert (done.code, done.out) == (130, ""), done
        assert "Traceback" not in done.err
        assert left(place, temporary) == []

    def test_killed_it_leaves_no_process(self, place, temporary):
        with place.start("demo") as running:
            shown(temporary)
            assert len(place.processes()) > 5
            os.kill(running.pid, signal.SIGKILL)
        place.deserted()

    @pytest.mark.slow
    def test_it_keeps_out_of_a_running_fleet(self, fleet, tmp_path):
        """Its home is its own, also where a fleet runs."""
        before = fleet.server(), fleet.names(), Path(fleet.home.path / "last_batch").exists()
        with fleet.start("demo", TMPDIR=str(tmp_path)) as running:
            shown(tmp_path)
            assert running.end(signal.SIGINT).code == 130
        assert (fleet.server(), fleet.names(), Path(fleet.home.path / "last_batch").exists()) == before
        assert list(tmp_path.iterdir()) == []


FIELDS = ["work", "way", "seconds", "speedup", "cores", "cpu_seconds", "task", "items", "width", "gil"]
WAYS = ["sequential", "threading", "ThreadPoolExecutor", "multiprocessing.Pool", "thread worker", "process worker"]


def belong_together(rows, *tasks):
    """Assert that the rows are those of the tasks, all ways of each, and that their fields agree."""
    assert [list(row) for row in rows] == [FIELDS] * len(rows)
    assert [row["task"] for row in rows] == [task for task in tasks for _ in WAYS]
    assert [row["way"].partition(",")[0] for row in rows] == WAYS * len(tasks)
    for first in range(0, len(rows), len(WAYS)):
        work = rows[first : first + len(WAYS)]
        assert len({(row["work"], row["items"]) for row in work}) == 1
        assert work[0]["items"] >= 1
        for row in work:
            assert row["speedup"] == pytest.approx(work[0]["seconds"] / row["seconds"], rel=0.05, abs=0.05)
            assert row["cores"] == pytest.approx(row["cpu_seconds"] / row["seconds"], rel=0.05, abs=0.05)
        assert [row["gil"] is None for row in work] == [False] * 4 + [True] * 2


class TestCompare:
    @pytest.mark.slow
    @pytest.mark.alone
    @pytest.mark.timeout(400)
    def test_the_rows(self, place, temporary):
        with place.start("compare", "--seconds", "1.5", "--json") as running:
            rows = running.end(seconds=380).good().rows
        belong_together(rows, "fibonacci", "pause", "fetch", "digest")
        computing, waiting = rows[:6], rows[6:12]
        assert [row["work"].partition(":")[0] for row in rows[::6]] == ["CPU-bound", "waiting", "fetching", "files"]
        # Threads wait side by side, and share one core.
        assert waiting[1]["speedup"] > 5
        assert waiting[2]["speedup"] > 5
        assert waiting[4]["speedup"] > 2
        assert computing[1]["cores"] < 1.2
        assert computing[2]["cores"] < 1.2
        assert left(place, temporary) == []

    @pytest.mark.slow
    def test_one_kind_of_work(self, place, temporary):
        rows = place.run("compare", "--only", "cpu", "--seconds", "0.5", "--json").good().rows
        belong_together(rows, "fibonacci")
        assert left(place, temporary) == []

    def test_the_numbers_it_is_given(self, place, temporary):
        picture = place.path / "picture.SVG"
        done = place.run("compare", "--only", "cpu", "--items", "24,20,20", "--plot", str(picture)).good()
        title, heads, *rows = done.out.splitlines()[:8]
        assert title.strip() == "CPU-bound: 3 Fibonacci numbers, F(20) to F(24)"
        assert heads.split("  ")[0] == "way"
        assert [row.split(",")[0].split()[0] for row in rows] == [way.split()[0] for way in WAYS]
        assert all(row.rstrip()[-1] in "▏▎▍▌▋▊▉█" for row in rows)
        assert all(line.startswith(("CPU-bound: ", "workers: ")) for line in done.out.splitlines()[8:])
        assert "one after another they take about 0 s, in all ways 0 s" in done.err
        assert "process worker" in picture.read_text()
        assert left(place, temporary) == []

    @pytest.mark.slow
    def test_where_the_output_is_not_utf_8(self, place):
        done = place.run("compare", "--only", "cpu", "--items", "15", PYTHONIOENCODING="ascii").good()
        assert done.out.isascii()
        assert "#" in done.out
        assert "1.00x" in done.out

    @pytest.mark.slow
    @pytest.mark.parametrize("form", [[], ["--json"]])
    def test_a_closed_stdout_ends_it_in_silence(self, place, temporary, form):
        read, write = os.pipe()
        os.close(read)
        with place.start("compare", "--only", "cpu", "--items", "15", *form, "--quiet", stdout=write) as running:
            os.close(write)
            done = running.end()
        assert (done.code, done.err) == (0, "")
        assert left(place, temporary) == []

    @pytest.mark.parametrize("number", [signal.SIGINT, pytest.param(signal.SIGTERM, marks=pytest.mark.slow)])
    def test_interrupted_it_leaves_nothing(self, place, temporary, number):
        with place.start("compare", "--only", "cpu", "--items", "45") as running:
            running.says("CPU-bound: 1 Fibonacci number, F(45) …")
            done = running.end(number)
        assert (done.code, done.out) == (130, ""), done
        assert "Traceback" not in done.err
        # What was just being started learns of the end by its standard input.
        place.deserted()
        assert left(place, temporary) == []

    def test_killed_it_leaves_no_process(self, place, temporary):
        with place.start("compare", "--only", "cpu", "--items", "45") as running:
            running.says("CPU-bound: 1 Fibonacci number, F(45) …")
            os.kill(running.pid, signal.SIGKILL)
        place.deserted()

    def test_what_it_refuses(self, place):
        place.refused(
            [
                (["compare", "--items", "30,51"], "--items: '51' (expected integers from 0 to 50"),
                (["compare", "--items", "30,,31"], "--items: '' "),
                (["compare", "--items", "30;31"], "--items: '30;31' "),
                (["compare", "--items", "-1"], "--items: '-1' "),
                (["compare", "--items", "٣"], "--items: '٣' "),
                (["compare", "--items", "9" * 5000], "--items: '999"),
                (["compare", "--items", "30", "--only", "io"], "--items is for the CPU-bound work"),
                (["compare", "--only", "gpu"], "--only: 'gpu' "),
                (["compare", "--seconds", "0"], "--seconds: '0' "),
                (["compare", "--seconds", "nan"], "--seconds: 'nan' "),
                (["compare", "--seconds", "601"], "--seconds: '601' "),
                (
                    ["compare", "--plot", "picture.gif"],
                    "--plot: 'picture.gif' (expected a name that ends in .svg or .png",
                ),
                (["compare", "--plot", "nowhere/picture.svg"], "--plot: 'nowhere/picture.svg' "),
                (["compare", "--plot", "/proc/picture.svg"], "--plot: '/proc/picture.svg' "),
            ]
        )


class TestAnnounce:
    def test_two_threads_take_turns(self, place):
        done = place.run("announce", "--count", "4", "--seconds", "0.2").good()
        lines = done.out.splitlines()
        assert (lines[0], lines[9]) == ("one after the other:", "in two threads:")
        assert [line.split()[-1] for line in lines[1:9]] == [*"1234", *"abcd"]
        assert sorted(line.split()[-1] for line in lines[10:18]) == [*"1234", *"abcd"]
        assert lines[18].endswith("while one thread waited, the other spoke.")
        assert len(lines) == 19

    def test_each_word_has_its_thread_and_moment(self, place):
        rows = place.run("announce", "--count", "3", "--seconds", "0.3", "--json").good().rows
        assert [list(row) for row in rows] == [["run", "thread", "word", "at"]] * 12
        assert [row["run"] for row in rows] == ["sequential"] * 6 + ["threads"] * 6
        alone, together = rows[:6], rows[6:]
        assert {row["thread"] for row in alone} == {"MainThread"}
        said = {thread: [row for row in together if row["thread"] == thread] for thread in ("numbers", "letters")}
        assert [row["word"] for row in said["numbers"]] == [*"123"]
        assert [row["word"] for row in said["letters"]] == [*"abc"]
        # Each began before the other ended: there they waited at the same time, and alone they did not.
        assert said["numbers"][0]["at"] < said["letters"][-1]["at"]
        assert said["letters"][0]["at"] < said["numbers"][-1]["at"]
        assert alone[-1]["at"] >= 1.2

    def test_interrupted_it_ends_at_once(self, place):
        with place.start("announce", "--seconds", "60") as running:
            assert running.line() == "one after the other:\n"
            done = running.end(signal.SIGINT, 10)
        assert done.code == 130
        assert "Traceback" not in done.err

    def test_what_it_refuses(self, place):
        place.refused(
            [
                (["announce", "--count", "27"], "count: '27' (expected an integer from 1 to 26)"),
                (["announce", "--count", "0"], "count: '0' "),
                (["announce", "--seconds", "nan"], "seconds: 'nan' "),
                (["announce", "--seconds", "-1"], "seconds: '-1' "),
            ]
        )
