"""`setup` and coroutine tasks on real workers under `up`: shared before the fork, told once, drained, ended."""

import os
import signal
from pathlib import Path

import pytest

from tests.conftest import until
from tests.support.command import Place
from tests.support.projects import write

PROJECT = {
    "pyproject.toml": '[tool.gristmill]\ntasks = ["models"]\n',
    "models.py": """
import asyncio
import functools
import os
import time
from pathlib import Path

from gristmill import cpu, io

HERE = Path(__file__).parent


@functools.cache
def shared() -> int:
    return os.getpid()


@functools.cache
def missing() -> str:
    return (HERE / "model").read_text()


@cpu(setup=shared, preload=True)
def where(n: int) -> list[int]:
    time.sleep(0.2)
    return [shared(), os.getppid(), os.getpid()]


@cpu(setup=missing)
def classify(n: int) -> str:
    return missing()


@io
async def wait(seconds: float) -> float:
    try:
        await asyncio.sleep(seconds)
    finally:
        with (HERE / "ended").open("a") as ended:
            ended.write("x")
    return seconds
""",
}


@pytest.fixture(scope="module")
def mill(tmp_path_factory):
    """A fleet with the tasks above; the traceback of a setup stands in its log."""
    place = Place(tmp_path_factory.mktemp("setup"), GRISTMILL_DRAIN_SECONDS="1")
    write(place.cwd, PROJECT)
    with place.up("cpu", "io", "--cpu-slots", "2", "--io-slots", "2", cwd=place.cwd, in_peace=False):
        yield place
    place.deserted()


def ended(mill) -> int:
    """How many of the items that wait have ended, whether or not they were recorded."""
    path: Path = mill.cwd / "ended"
    return len(path.read_text()) if path.exists() else 0


def about_classify(mill) -> list[dict[str, str]]:
    """What `doctor` says of the setup."""
    rows = mill.run("doctor", "--json", cwd=mill.cwd).rows
    return [row for row in rows if "setup of task 'classify'" in row["state"]]


def test_what_is_preloaded_is_shared_by_the_processes(mill):
    done = mill.run("run", "where", *map(str, range(12)), "--json", cwd=mill.cwd).good()
    values = [row["value"] for row in done.rows]
    assert {loaded_by for loaded_by, _, _ in values} == {parent for _, parent, _ in values}
    assert len({process for _, _, process in values}) == 2


def test_a_setup_that_fails_is_told_and_fails_no_item(mill):
    with mill.start("run", "classify", "1", "2", "3", "--name", "photos", "--json", cwd=mill.cwd) as command:
        command.says("the setup of task 'classify' fails")
        (row,) = about_classify(mill)
        assert "FileNotFoundError in missing()" in row["state"]
        assert row["advice"] != "OK"
        submitted = mill.run("submit", "classify", "4", "--name", "more", cwd=mill.cwd).good()
        assert "the setup of task 'classify' fails" in submitted.err
        assert (mill.info("photos").left, mill.info("photos").failed) == (3, 0)
        (mill.cwd / "model").write_text("cat")
        done = command.end().good()
    assert [row["value"] for row in done.rows] == ["cat"] * 3
    assert done.err.count("the setup of task 'classify' fails") == 1
    assert mill.ended("more").succeeded == 1
    assert about_classify(mill) == []


def test_cancel_kill_ends_coroutines_and_leaves_their_neighbours(mill):
    before = ended(mill)
    for name, seconds in (("long", "3600"), ("short", "3")):
        mill.run("submit", "wait", *[seconds] * 5, "--name", name, cwd=mill.cwd).good()
        until(lambda: mill.busy("io"), what="the start of the items")
    mill.run("cancel", "long", "--kill", cwd=mill.cwd).good()
    info = mill.ended("long")
    assert (info.cancelled, info.left) == (5, 0)
    until(lambda: ended(mill) >= before + 5, what="the end of the coroutines")
    assert mill.ended("short").succeeded == 5


def test_a_drain_cancels_coroutines_which_run_again_elsewhere(mill):
    before = ended(mill)
    mill.run("submit", "wait", *["6"] * 5, "--name", "drained", cwd=mill.cwd).good()
    until(lambda: mill.busy("io"), what="the start of the items")
    worker = mill.worker("io")
    os.kill(worker.pid, signal.SIGTERM)
    until(lambda: not worker.is_running(), what="the end of the worker")
    assert ended(mill) == before + 5, "each had its `finally`"
    info = mill.ended("drained")
    assert (info.succeeded, info.failed, info.duplicates) == (5, 0, 0)
