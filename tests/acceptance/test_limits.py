"""The limits of a batch over the fleet, with real workers: how many of its items run at once, and start in a time."""

import os
import re
import signal

import pytest

from tests.conftest import until
from tests.support.command import Place

TASKS = '''
"""Tasks that note when they run."""

import asyncio
import os
import signal
import time

from gristmill import cpu, io, item


def note(path: str, word: str) -> None:
    descriptor = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT)
    os.write(descriptor, f"{word} {time.time()}\\\\n".encode())
    os.close(descriptor)


@cpu
def noted(seconds: float, path: str):
    note(path, "begin")
    time.sleep(seconds)
    note(path, "end")
    return item.slot


@io
async def noted_wait(seconds: float, path: str):
    note(path, "begin")
    await asyncio.sleep(seconds)
    note(path, "end")
'''.replace("\\\\n", "\\n")


@pytest.fixture(scope="module")
def place(tmp_path_factory):
    """A place whose fleet, once there is one, knows the tasks above."""
    return Place(tmp_path_factory.mktemp("limited"), {"noting": TASKS})


@pytest.fixture(scope="module")
def mill(place):
    try:
        with place.up("cpu", "io", "--cpu-slots", "4", in_peace=False):
            yield place
    finally:
        place.deserted()


def most_at_once(path):
    """How many items ran at once, at most: a line is appended at the beginning and at the end of each."""
    running = most = 0
    for line in path.read_text().splitlines():
        running += 1 if line.startswith("begin") else -1
        most = max(most, running)
    assert running == 0
    return most


class TestMaxRunning:
    def test_a_fleet_of_runs_own_takes_its_size_from_it(self, place):
        """The first test: no other fleet runs yet."""
        path = place.path / "own"
        done = place.run("run", "noted", *["0.02"] * 30, "-j", "2", "--set", f"path={path}", "--name", "own").good()
        assert len({row["value"] for row in done.rows}) == 2, "the numbers of its slots"
        assert most_at_once(path) == 2

    @pytest.mark.parametrize(
        ("task", "width", "items"), [("noted", "2", 40), ("noted", "50%", 40), ("noted_wait", "5", 200)]
    )
    def test_no_more_of_its_items_run_at_once(self, mill, name, task, width, items):
        path, least = mill.path / name, 5 if task == "noted_wait" else 2
        file = mill.file(f"{name}.txt", "0.03\n" * items)
        command = ("submit", task, "--from", file, "-j", width, "--set", f"path={path}", "--name", name)
        mill.run(*command, "--quiet").good()
        until(lambda: mill.info(name).held_by == "max_running", what="a word on what holds it")
        info = mill.ended(name)
        assert (info.succeeded, info.held_by) == (items, None)
        assert most_at_once(path) == least

    def test_others_have_the_slots_that_it_leaves(self, mill, name):
        path = mill.path / name
        command = ("submit", "noted", *["0.5"] * 40, "--set", f"path={path}", "--name", name, "-j", "1")
        mill.run(*command, "--quiet").good()
        try:
            mill.run("run", "noted", *["0.01"] * 100, "--set", f"path={path}.other", "--max-wait", "60").good()
            assert mill.info(name).left > 20
            assert most_at_once(mill.path / f"{name}.other") >= 2
            watched = mill.run("batches", "--json").good().rows
            assert [row["held_by"] for row in watched if row["name"] == name] == ["max_running"]
        finally:
            mill.run("cancel", name, "--quiet")


def test_a_time_limit_that_ends_no_thread_is_warned_of(mill, name):
    done = mill.run("submit", "pause", "0", "--time-limit", "1s", "--name", name).good()
    assert re.search(r"time_limit=1 .*threads", done.err)


class TestRate:
    RATE = 40

    @pytest.mark.parametrize("task", ["noted", "noted_wait"])
    def test_no_more_of_its_items_start_in_a_time(self, mill, name, task):
        path, items = mill.path / name, 160
        file = mill.file(f"{name}.txt", "0.001\n" * items)
        command = ("submit", task, "--from", file, "--rate", f"{self.RATE}/s", "--set", f"path={path}", "--name", name)
        mill.run(*command, "--quiet").good()
        until(lambda: mill.info(name).held_by == "rate", what="a word on what holds it")
        assert mill.run("watch", name, "--json").good().rows[0]["held_by"] == "rate"
        info = mill.ended(name)
        assert (info.succeeded, info.duplicates, info.held_by) == (items, 0, None)
        starts = sorted(float(line.split()[1]) for line in path.read_text().splitlines() if line.startswith("begin"))
        assert len(starts) == items
        # The whole takes its time; and no second has more than its own items and a burst, of a second's worth.
        assert starts[-1] - starts[0] >= items / self.RATE - 1.25
        for start in starts:
            assert sum(start <= other < start + 1 for other in starts) <= 2 * self.RATE + 2

    @pytest.mark.slow
    def test_a_killed_worker_changes_no_count(self, mill, name):
        items = 400
        file = mill.file(f"{name}.txt", "0.005\n" * items)
        command = ("submit", "noted", "--from", file, "--rate", "80/s", "-j", "3", "--set", f"path={mill.path / name}")
        mill.run(*command, "--name", name, "--quiet").good()
        for done in (40, 120, 240):
            until(lambda least=done: mill.info(name).done > least, what=f"{done} outcomes")
            workers = mill.run("workers", "--json").good().rows
            os.kill(next(row["pid"] for row in workers if row["queue"] == "cpu"), signal.SIGKILL)
        info = mill.ended(name)
        assert (info.submitted, info.succeeded, info.left) == (items, items, 0)
