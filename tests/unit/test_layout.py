"""The package gristmill and the folders that are linked into it: one name for each module, however the clone came."""

import ast
import os
import re
import shutil
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path

import pytest

from tests.support.examples import PROJECT

ROOMS = ("config", "producer", "tasks")
SOURCES = sorted(path for room in ("gristmill", *ROOMS) for path in (PROJECT / room).rglob("*.py"))


def run(*command: str | Path, cwd: Path = PROJECT) -> "subprocess.CompletedProcess[str]":
    """Run a command with nothing of this process's Python path."""
    environ = {name: value for name, value in os.environ.items() if not name.startswith("PYTHON")}
    return subprocess.run(command, cwd=cwd, env=environ, capture_output=True, text=True, timeout=60, check=False)


def test_a_room_and_its_modules_have_one_name():
    names = [*ROOMS, "tasks.fibonacci"]
    code = f"""
import importlib
for name in {names}:
    try:
        importlib.import_module(name)
    except ImportError as error:
        print(error)
"""
    done = run(sys.executable, "-c", code)
    for name, said in zip(names, done.stdout.splitlines(), strict=True):
        assert f"import gristmill.{name.partition('.')[0]}" in said


def test_celery_refuses_the_other_name():
    result = run(sys.executable, "-m", "celery", "-A", "tasks", "report")
    assert result.returncode == 2
    assert "import gristmill.tasks" in result.stderr


def test_rooms_are_relative_links():
    assert {room: str((PROJECT / "gristmill" / room).readlink()) for room in ROOMS} == {
        room: f"../{room}" for room in ROOMS
    }


def test_no_file_is_resolved_through_a_link():
    """`__file__` of a linked module, resolved, is outside the package: its Lua and its pages are not there."""

    def resolves(node: ast.AST) -> bool:
        name = node.func.attr if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) else ""
        return name in {"resolve", "realpath", "readlink", "samefile"} and "__file__" in ast.unparse(node)

    assert [
        f"{path.relative_to(PROJECT)}:{node.lineno}"
        for path in SOURCES
        for node in ast.walk(ast.parse(path.read_text()))
        if resolves(node)
    ] == []


@pytest.mark.parametrize("name", ["Procfile", "docker-compose.yml", "docker-compose.worker.yml", "Dockerfile"])
def test_the_modules_that_are_started_are_there(name):
    modules = re.findall(r"python.*-m\W+(gristmill[\w.]*|\w+)", (PROJECT / name).read_text())
    assert modules
    for module in modules:
        assert find_spec(module), module


@pytest.fixture
def unlinked(tmp_path):
    """A copy of the clone in which a link is a text file, as Python's zipfile unpacks a zip archive of git."""
    for name in ("bin/install", "setup.py", "pyproject.toml", "README.md", "LICENSE", "gristmill/__init__.py"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        shutil.copy(PROJECT / name, tmp_path / name)
    for room in ROOMS:
        (tmp_path / room).mkdir()
        (tmp_path / "gristmill" / room).write_text(f"../{room}")
    return tmp_path


@pytest.mark.parametrize(
    "command",
    [
        ("sh", "bin/install", "requirements.lock"),
        (sys.executable, "setup.py", "--version"),
    ],
    ids=["make", "pip"],
)
def test_links_that_became_text_are_refused(unlinked, command):
    result = run(*command, cwd=unlinked)
    (line,) = result.stderr.splitlines()
    assert (result.returncode, result.stdout) == (1, "")
    assert line.startswith("gristmill/config is a text file")
    assert not (unlinked / ".venv").exists()
