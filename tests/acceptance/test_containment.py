"""What an item starts ends with it, however the item, its process or its worker ends."""

import os
import signal
from pathlib import Path

import pytest

from tests.conftest import until
from tests.support.command import READY, Place, first_in_path
from tests.support.grandchildren import sleeping
from tests.support.homes import runs

ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="module")
def place(tmp_path_factory):
    place = Place(
        tmp_path_factory.mktemp("start"),
        GRISTMILL_TASK_MODULES="tests.support.starting",
        GRISTMILL_MAX_ITEMS_PER_PROCESS="4",
        GRISTMILL_SLOT_MEMORY="1G",
        GRISTMILL_WORKER_MEMORY="1G",
        PYTHONPATH=first_in_path(ROOT),
    )
    try:
        with place.up("cpu", "io", "--cpu-slots", "2", "--io-slots", "2", in_peace=False):
            yield place
    finally:
        place.deserted()


@pytest.mark.slow
def test_items_end_as_their_limits_say_and_leave_nothing(place):
    done = place.run("run", "start", "pid", "memory", "time", "death", "executor", "--max-wait", "90", "--quiet")
    assert done.code == 1, done
    ends = {row["input"]: (row["state"], row["value"] or (row["error"] or {}).get("type")) for row in done.rows}
    assert ends.pop("pid")[0] == "succeeded"
    assert ends == {
        "memory": ("failed", "MemoryError"),
        "time": ("failed", "TimeLimitExceeded"),
        "death": ("dead", "ProcessDied"),
        "executor": ("succeeded", 3),
    }
    until(lambda: not sleeping("601") + sleeping("602"), what="the end of what the items have started")


@pytest.mark.slow
@pytest.mark.parametrize("task", ["start", "start_in_thread"])
def test_a_pool_of_processes_ends_with_its_item(place, task):
    """A copy of a worker that drained at SIGTERM, as the worker does, would stay for 10 seconds."""
    done = place.run("run", task, *["pool"] * 6, "--max-wait", "90", "--quiet").good()
    assert [row["value"] for row in done.rows] == [[1, 2]] * 6
    assert max(row["seconds"] for row in done.rows) < 8


@pytest.mark.slow
def test_a_process_ends_after_its_items_and_draws_its_own_numbers(place):
    done = place.run("run", "process", *map(str, range(24)), "--max-wait", "90", "--quiet").good()
    values = [tuple(row["value"]) for row in done.rows]
    pids = [pid for pid, _ in values]
    assert max(pids.count(pid) for pid in pids) <= 4
    assert len({number for _, number in values}) == 24


@pytest.mark.slow
def test_a_kill_ends_the_program_of_an_item(place):
    name = place.run("submit", "hold", "603", "--quiet").good().out.strip()
    until(lambda: sleeping("603"), what="the program")
    place.run("cancel", name, "--kill").good()
    until(lambda: not sleeping("603"), what="the end of the program")
    assert place.ended(name).cancelled == 1


@pytest.mark.slow
def test_a_worker_that_is_killed_leaves_nothing(place):
    name = place.run("submit", "hold", "604", "--quiet").good().out.strip()
    until(lambda: sleeping("604"), what="the program")
    worker = place.worker("cpu")
    family = worker.children(recursive=True)
    os.kill(worker.pid, signal.SIGKILL)
    until(lambda: not any(runs(one) for one in family), what="the end of what the worker had")
    place.run("cancel", name, "--kill")


@pytest.mark.slow
@pytest.mark.parametrize("way", ["up", "run"])
def test_the_end_of_the_owner_ends_the_programs_of_items(tmp_path, way):
    """`up` dies by kill -9; `run` is interrupted twice."""
    place = Place(
        tmp_path,
        GRISTMILL_TASK_MODULES="tests.support.starting",
        GRISTMILL_CPU_SLOTS="1",
        GRISTMILL_IO_SLOTS="1",
        PYTHONPATH=first_in_path(ROOT),
    )
    seconds = {"up": "605", "run": "606"}[way]
    command = ["up", "cpu"] if way == "up" else ["run", "hold", seconds]
    with place.start(*command) as running:
        if way == "up":
            running.says(READY)
            place.run("submit", "hold", seconds, "--quiet").good()
        until(lambda: sleeping(seconds), what="the program")
        if way == "up":
            os.kill(running.pid, signal.SIGKILL)
        else:
            os.kill(running.pid, signal.SIGINT)
            # The first one has items finish: this one does not.
            until(lambda: running.err != "", what="the answer to the first one")
            os.kill(running.pid, signal.SIGINT)
        running.process.wait(60)
        until(lambda: not sleeping(seconds), what="the end of the program")
    place.deserted(30)
