"""`gristmill demo` and `compare`: they end by themselves or when asked to, and leave nothing."""

import os
import signal
from pathlib import Path

import pytest


@pytest.fixture
def temporary(place):
    """The directory for temporary files of the place."""
    path = place.path / "tmp"
    path.mkdir()
    place.environ["TMPDIR"] = str(path)
    return path


def left(place, temporary):
    """What is left of a command that has ended."""
    return [*place.processes(), *temporary.iterdir(), *([place.home.path] if place.home.path.exists() else [])]


class TestDemo:
    @pytest.mark.slow
    @pytest.mark.timeout(300)
    def test_it_shows_everything_and_leaves_nothing(self, place, temporary):
        done = place.run("demo").good()
        assert "dashboard: http://127.0.0.1:" in done.err
        assert "680 items submitted, 680 results, each checked; lost 0, duplicates 0" in done.err
        assert "where the time went" in done.err
        table = [line for line in done.out.splitlines() if not line.startswith("{")]
        assert table[0].split() == ["work", "items", "seconds", "one", "core", "alone", "speed-up"]
        assert [line.split("  ")[0] for line in table[1:4]] == ["CPU-bound", "I/O-bound", "together"]
        assert left(place, temporary) == []

    @pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
    def test_interrupted_it_leaves_nothing(self, place, temporary, number):
        with place.start("demo") as running:
            running.says("dashboard: http://")
            done = running.end(number)
        assert (done.code, done.out) == (130, ""), done
        assert "Traceback" not in done.err
        assert left(place, temporary) == []

    def test_interrupted_while_it_starts_it_leaves_nothing(self, place, temporary):
        with place.start("demo") as running:
            running.says("starting a server")
            done = running.end(signal.SIGINT)
        assert (done.code, done.out) == (130, ""), done
        assert "Traceback" not in done.err
        assert left(place, temporary) == []

    def test_killed_it_leaves_no_process(self, place, temporary):
        with place.start("demo") as running:
            running.says("dashboard: http://")
            assert len(place.processes()) > 5
            os.kill(running.pid, signal.SIGKILL)
        place.deserted(15)

    def test_it_keeps_out_of_a_running_fleet(self, fleet, tmp_path):
        """Its home is its own, also where a fleet runs."""
        before = fleet.server(), fleet.names(), Path(fleet.home.path / "last_batch").exists()
        with fleet.start("demo", TMPDIR=str(tmp_path)) as running:
            running.says("dashboard: http://")
            assert running.end(signal.SIGINT).code == 130
        assert (fleet.server(), fleet.names(), Path(fleet.home.path / "last_batch").exists()) == before
        assert list(tmp_path.iterdir()) == []


class TestCompare:
    @pytest.mark.slow
    @pytest.mark.timeout(300)
    def test_the_rows(self, place, temporary):
        rows = place.run("compare", "--json").good().rows
        assert [list(row) for row in rows] == [["work", "way", "seconds", "speedup", "cores"]] * 10
        ways = [row["way"].split(",")[0] for row in rows]
        assert ways == ["sequential", "threading", "multiprocessing.Pool", "thread worker", "process worker"] * 2
        computing, waiting = rows[:5], rows[5:]
        assert all(row["work"].startswith("CPU-bound") for row in computing)
        # Threads wait side by side, and share one core.
        assert waiting[1]["speedup"] > 5
        assert waiting[3]["speedup"] > 2
        assert computing[1]["cores"] < 1.2
        assert left(place, temporary) == []
