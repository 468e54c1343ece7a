"""An item that has its process stand still ends: at its time limit, or at once where nobody lets it go on."""

import sys
from pathlib import Path

import pytest

from gristmill.local.descendants import status
from tests.acceptance.zoo import animals
from tests.conftest import until
from tests.support.projects import write

pytestmark = [pytest.mark.slow, pytest.mark.skipif(sys.platform != "linux", reason="needs Linux")]


def test_items_that_stop_their_process_hold_no_slot(place):
    module = {"GRISTMILL_TASK_MODULES": animals.__name__, "PYTHONPATH": str(Path(__file__).parents[2])}
    with place.up("cpu", "--cpu-slots", "2", in_peace=False, **module):
        worker = place.worker("cpu").pid
        what = ("stops its process", "asks to be traced")
        place.run("submit", "animal", *what, "--time-limit", "1s", "--name", "x", "--quiet").good()
        place.ended("x", 60)
        place.run("run", "neighbour", "1", "2", "3", "4", "--name", "after", "--quiet").good()
        ends = {each.input: (each.state, (each.error or {})["type"]) for each in place.results("x")}
        assert ends == {what[0]: ("failed", "TimeLimitExceeded"), what[1]: ("dead", "ProcessDied")}
        info = place.info("x")
        assert info.submitted == 2 == info.succeeded + info.failed + info.cancelled + info.dead
        assert info.left == 0
        assert place.worker("cpu").pid == worker


PROJECT = {
    "pyproject.toml": '[tool.gristmill]\ntasks = ["standing"]\n',
    "standing.py": """
import os
import signal
import threading

from gristmill import cpu


def stop(*_):
    os.kill(os.getpid(), signal.SIGSTOP)


def group(n: int) -> int:
    return stop() if n == 1 else n


@cpu
def number(n: int) -> int:
    return n


@cpu
def leaving(n: int) -> int:
    threading.Timer(0.1, stop).start()
    return os.getpid()


@cpu(setup=lambda: stop())
def prepared(n: int) -> int:
    return n


@cpu(limit_by=group, max_running=1)
def limited(n: int) -> int:
    return n
""",
}


def test_a_thread_that_an_item_leaves_and_that_stops_its_process_holds_no_message(place):
    write(place.cwd, PROJECT)
    with place.up("cpu", "--cpu-slots", "1", cwd=place.cwd, in_peace=False):
        (row,) = place.run("run", "leaving", "1", "--json", cwd=place.cwd).good().rows
        until(lambda: status(row["value"])[0] == "T", what="the stop")
        place.run("run", "number", *map(str, range(20)), "--name", "after", "--quiet", cwd=place.cwd).good()
        assert place.info("after").succeeded == 20


def test_a_setup_and_the_function_of_a_limit_that_stop_their_process_hold_no_slot(place):
    write(place.cwd, PROJECT)
    with place.up("cpu", "--cpu-slots", "2", cwd=place.cwd, in_peace=False, GRISTMILL_TIME_LIMIT="3s"):
        worker = place.worker("cpu").pid
        place.run("submit", "prepared", "1", "2", "--name", "waits", "--quiet", cwd=place.cwd).good()
        until(lambda: "setup: <lambda>" in place.run("busy", "waits", cwd=place.cwd).out, what="the setup in `busy`")
        place.run("run", "number", "0", "1", "2", "--name", "numbers", "--quiet", cwd=place.cwd).good()
        place.run("submit", "limited", "--from-batch", "numbers", "--name", "limited", "--quiet", cwd=place.cwd).good()
        place.ended("limited", 60)
        assert {each.state for each in place.results("limited")} == {"succeeded"}
        info = place.info("waits")
        assert (info.submitted, info.left, info.failed, info.dead) == (2, 2, 0, 0), "items wait for their setup"
        assert "longer than its time limit of 3 s" in place.run("doctor", "--json", cwd=place.cwd).out
        place.run("cancel", "waits", "--kill", cwd=place.cwd).good()
        place.ended("waits", 60)
        assert place.worker("cpu").pid == worker
