"""`up --reload`: workers take changed code between items, and nothing is lost or run twice."""

import json
import os

import pytest

from tests.conftest import until

TASKS = '''
"""A task whose module imports another of the user's."""

import time
from pathlib import Path

from gristmill.tasks.kinds import io

import recipe


@io
def bake(number: int, journal: str) -> int:
    """Note the run and return the recipe's version."""
    time.sleep(0.1)
    with open(journal, "a") as file:
        file.write(f"{number}\\n")
    return recipe.VERSION
'''


@pytest.fixture
def modules(place):
    """A folder with the user's modules, which every command here imports."""
    folder = place.path / "modules"
    folder.mkdir()
    (folder / "bakery.py").write_text(TASKS)
    (folder / "recipe.py").write_text("VERSION = 1\n")
    place.environ |= {"PYTHONPATH": str(folder), "GRISTMILL_TASK_MODULES": "bakery"}
    return folder


def values(place, name):
    return [result.value for result in place.results(name)]


def test_changed_code_runs_and_each_item_runs_once(place, modules):
    items, journal = 240, place.path / "journal"
    lines = place.file("items", "".join(f"{n}\n" for n in range(items)))
    with place.up("io", "--io-slots", "2", "--reload"):
        worker = place.worker("io").pid
        command = ("submit", "bake", "--from", lines, "--set", f"journal={journal}", "--name", "bread", "--quiet")
        place.run(*command).good()
        until(lambda: place.info("bread").done > 20, what="a beginning")
        # Only the module that the task's own imports changes, and not its size.
        (modules / "recipe.py").write_text("VERSION = 2\n")
        info = place.ended("bread")
        assert (info.succeeded, info.left, info.duplicates) == (items, 0, 0)
        versions = values(place, "bread")
        assert set(versions) == {1, 2}
        assert place.worker("io").pid != worker
    runs = sorted(int(line) for line in journal.read_text().split())
    assert runs == list(range(items)), "each item ran once"


def test_code_that_cannot_be_imported_leaves_workers_alone(place, modules):
    def bake(name):
        done = place.run("run", "bake", "1", "--set", f"journal={os.devnull}", "--name", name, "--json").good()
        return json.loads(done.out)["value"]

    with place.up("io", "--io-slots", "2", "--reload") as running:
        worker = place.worker("io").pid
        # Of another size: within a second of the first text, Python would take what it has compiled.
        (modules / "recipe.py").write_text("VERSION = (1,\n")
        running.says("the workers go on with the code that they have")
        assert place.worker("io").pid == worker
        (modules / "recipe.py").write_text("from oven import VERSION\n")
        until(lambda: running.err.count("the workers go on") == 2, what="a second complaint")
        # The module that was missing appears.
        (modules / "oven.py").write_text("VERSION = 30\n")
        until(lambda: "start again" in running.err and place.worker("io").pid != worker, what="new workers")
        until(lambda: any(row["slots"] for row in place.run("workers", "--json").rows), what="a live worker")
        assert bake("with-oven") == 30
        (modules / "oven.py").write_text("VERSION = 31\n")
        until(lambda: bake(f"again-{len(place.names())}") == 31, what="the newest code")
