"""The files that `up --reload` watches: the user's modules, and nothing that is installed."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

from gristmill.config.settings import settings
from gristmill.local.reload import Reload

TASKS = (
    "from shop import prices\nfrom gristmill.tasks.kinds import io\n\n\n@io\ndef buy(item: str) -> int:\n    return 1\n"
)


@pytest.fixture
def shop(tmp_path, monkeypatch):
    """A package with a task, in a folder that Python imports from."""
    folder = tmp_path / "shop"
    folder.mkdir()
    for name, text in (("__init__", ""), ("jobs", TASKS), ("prices", "import json, redis\nPRICE = 1\n")):
        (folder / f"{name}.py").write_text(text)
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    monkeypatch.setenv("GRISTMILL_TASK_MODULES", "shop.jobs")
    monkeypatch.setenv("GRISTMILL_HOME", str(tmp_path / "home"))
    settings.cache_clear()
    yield folder
    settings.cache_clear()


def sources():
    command = [sys.executable, "-P", "-m", "gristmill.local.sources"]
    return subprocess.run(command, capture_output=True, text=True, check=False)


def test_the_users_modules_and_what_they_import(shop):
    done = sources()
    assert [Path(file) for file in json.loads(done.stdout)] == [
        shop / f"{n}.py" for n in ("__init__", "jobs", "prices")
    ]


def test_code_that_cannot_be_imported(shop):
    (shop / "prices.py").write_text("PRICE = (\n")
    done = sources()
    assert done.returncode == 2
    assert "'shop.jobs'" in done.stderr
    assert "Traceback" not in done.stderr


def test_changes_are_told_once_they_can_be_imported(shop, monkeypatch):
    files = json.loads(sources().stdout)
    monkeypatch.setattr("gristmill.local.reload.own_files", lambda: files)
    monkeypatch.setattr(sys, "dont_write_bytecode", sys.dont_write_bytecode)
    monkeypatch.setenv("PYTHONDONTWRITEBYTECODE", "")
    complaints = []
    watch = Reload(complaints.append)
    assert watch.changed_files() == []
    (shop / "prices.py").write_text("from shop.discounts import PRICE\n")
    assert watch.changed_files() == [], "an editor may still be writing"
    assert watch.changed_files() == []
    assert len(complaints) == 1
    assert "discounts" in complaints[0]
    # The module that is missing appears.
    (shop / "discounts.py").write_text("PRICE = 2\n")
    assert watch.changed_files() == []
    assert watch.changed_files() == ["a module"]
    (shop / "discounts.py").write_text("PRICE = 3\n")
    assert watch.changed_files() == []
    assert watch.changed_files() == ["discounts.py"]
    assert watch.changed_files() == []
    assert len(complaints) == 1
