"""An item that has its process stand still ends: at its time limit, or at once where nobody lets it go on."""

import sys
from pathlib import Path

import pytest

from tests.acceptance.zoo import animals

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
