"""docs/projects.md: a project with the page's files runs the page's commands and programs."""

import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

from tests.support.command import Place
from tests.support.examples import DOCS, blocks, section

PAGE = DOCS / "projects.md"
WEB = """
from fastapi.testclient import TestClient
from web import app

client, key = TestClient(app), {"Idempotency-Key": "order-7"}
first = client.post("/checksums", json=["apples", "pears"], headers=key)
again = client.post("/checksums", json=["apples", "pears"], headers=key)
other = client.post("/checksums", json=["plums"], headers=key)
print(first.status_code, first.json(), again.json() == first.json(), other.status_code)
print(client.get("/checksums/order-7").status_code, client.get("/checksums/none").status_code)
"""


def code(heading: str, language: str = "python") -> list[str]:
    return [text for _, text in blocks(section(PAGE, heading), language)]


class Project(Place):
    """A place whose directory is the page's project."""

    def __init__(self, path: Path) -> None:
        super().__init__(path)
        (self.cwd / "shop").mkdir()
        (self.cwd / "files").mkdir()
        files = {
            "shop/__init__.py": "",
            "shop/jobs.py": code("Name your tasks")[0],
            "shop/fruit.py": code("A model loaded once")[0],
            "pyproject.toml": code("Name your tasks", "toml")[0],
            "web.py": code("A web handler")[0],
            "nightly.py": code("Celery beat")[0],
            "notebook.py": "\n".join(code("A notebook")),
            "texts.txt": "apples\npears\n",
        }
        for name, text in files.items():
            (self.cwd / name).write_text(text)

    def python(self, program: str) -> str:
        return self.process([sys.executable, "-c", program]).good().out


@pytest.fixture(scope="module")
def project(tmp_path_factory):
    """The project, while `gristmill up` runs in it."""
    place = Project(tmp_path_factory.mktemp("project") / "place")
    with place.up("cpu", cwd=place.cwd):
        yield place


def test_the_tables_for_pyproject_are_toml():
    table, entry = (tomllib.loads(text) for text in code("Name your tasks", "toml"))
    assert table["tool"]["gristmill"]["tasks"] == [*entry["project"]["entry-points"]["gristmill.tasks"].values()]


def test_a_command_in_the_project_knows_its_tasks(project):
    below = project.cwd / "shop"
    for directory in (project.cwd, below):
        assert "checksum" in [row["task"] for row in project.run("tasks", "--json", cwd=directory).good().rows]
    rows = project.run("run", "checksum", "apples", "pears", "--quiet", cwd=below).good().rows
    assert {len(row["value"]) for row in rows} == {64}


def test_the_line_for_cron_can_be_repeated(project):
    arguments = ["submit", "checksum", "--from", "texts.txt", "--name", "nightly-2026-01-31", "--quiet"]
    assert [project.run(*arguments).good().out for _ in range(2)] == ["nightly-2026-01-31\n"] * 2
    assert project.ended("nightly-2026-01-31").succeeded == 2


def test_the_cells_of_the_notebook_run(project):
    assert project.python("import notebook; print(len(notebook.values))").splitlines()[-2:] == ["200 of 200", "200"]


def test_the_task_for_beat_submits_once_a_day(project):
    names = project.python("from nightly import nightly; print(nightly(), nightly())").split()
    assert len({*names}) == 1
    assert project.ended(names[0]).succeeded == 2


def test_the_task_with_a_model_runs_and_tests_of_tasks_pass(project):
    setting = {"GRISTMILL_TASK_MODULES": "shop.fruit"}
    (row,) = Project(project.path / "fruit").run("run", "classify", "two apples", "--quiet", **setting).good().rows
    assert row["value"] == ["apple"]
    project.python(f"{code('Tests of your tasks')[0]}\ntest_checksum()")


@pytest.mark.slow
def test_the_web_handler_answers(project, tmp_path):
    # A package of the page's reader, which the project itself does not need.
    pip = [sys.executable, "-m", "pip", "install", "-q", "--target", str(tmp_path), "fastapi", "httpx"]
    subprocess.run(pip, check=True, capture_output=True)
    lines = project.process([sys.executable, "-c", WEB], PYTHONPATH=str(tmp_path)).good().out.splitlines()
    assert lines == ["202 {'batch': 'order-7'} True 422", "200 404"]
