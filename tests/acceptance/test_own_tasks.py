"""A project's own tasks on real workers: found without a variable, submitted also by programs without their module."""

import sys

import pytest

from tests.support.command import Place
from tests.support.projects import SHOP, python, write

PROGRAM = """
from gristmill import submit
from gristmill.errors import InputError, ItemFailed

print(list(submit("cost", ["2026-01-31", "2026-02-28"], set={"article": "ink"}).values(max_wait=60)))
print(list(submit("double", (n for n in range(3)), name="doubles").values(max_wait=60)))
for arguments in ({"items": [{"article": "tea"}]}, {"items": ["x"], "set": {"nope": 1}}):
    try:
        submit("cost", **arguments)
    except InputError as error:
        print(error)
try:
    print(list(submit("double", [1, "two", 3]).values(max_wait=60)))
except ItemFailed as error:
    print(error.result.index, error.result.error["message"], error)
"""

UNKNOWN = """
from gristmill import cpu, submit
from gristmill.errors import InputError

@cpu
def mine(n: int) -> int:
    return n

try:
    submit(mine, [1])
except InputError as error:
    print(error)
batch = submit("double", [1], queue="gpu")
print(batch.info().queue)
batch.delete()
"""


@pytest.fixture(scope="module")
def mill(tmp_path_factory):
    """A fleet that was started below a project, in no module's directory."""
    path = tmp_path_factory.mktemp("own")
    place = Place(path, GRISTMILL_RETRY_SECONDS="0.05")
    write(place.cwd, SHOP)
    with place.up("cpu", "io", "--cpu-slots", "1", "--io-slots", "2", cwd=place.cwd / "sub"):
        yield place
    place.deserted()


@pytest.fixture
def other(mill, tmp_path):
    """A directory in which the project is unknown, and the variables for the fleet's server."""
    return tmp_path, {"GRISTMILL_HOME": str(mill.home.path)}


def test_the_commands_know_them_below_the_project(mill):
    rows = {row["task"]: row for row in mill.run("tasks", "--json", cwd=mill.cwd / "shop").good().rows}
    assert rows["double"]["source"] == str(mill.cwd / "pyproject.toml")
    assert rows["double"]["workers"].startswith("cpu@")
    assert rows["fetch"]["source"] == "shipped"
    done = mill.run("run", "double", "1", "2", "3", "-k", "--json", cwd=mill.cwd / "sub").good()
    assert [row["value"] for row in done.rows] == [2, 4, 6]


def test_a_task_that_needs_nothing_runs_once(mill):
    for items in ((), ("{}",)):
        done = mill.run("run", "pause", *items, "--set", "seconds=0", "--json", cwd=mill.cwd).good()
        assert [(row["input"], row["value"]) for row in done.rows] == [({}, 0)]
    mill.run("run", "pause", "x", "--set", "seconds=0", cwd=mill.cwd).refused("argument 1", "item: 'x'")
    mill.run("run", "pause", cwd=mill.cwd).refused("no items")


def test_the_data_root_is_the_projects(mill):
    (mill.cwd / "photos" / "one.txt").write_text("one")
    done = mill.run("run", "digest", "one.txt", "--json", cwd=mill.cwd / "sub").good()
    assert [row["value"]["bytes"] for row in done.rows] == [3]


def test_a_command_without_the_module_submits_by_what_workers_announce(mill, tmp_path):
    done = mill.run("submit", "double", "4", "5", "--follow", "-k", "--json", cwd=tmp_path).good()
    assert [row["value"] for row in done.rows] == [8, 10]
    mill.run("submit", "cost", "2026-01-31", "--set", "nope=1", cwd=tmp_path).refused("'nope'", "day, article")
    done = mill.run("run", "double", "six", "--json", cwd=tmp_path)
    assert (done.code, [row["state"] for row in done.rows]) == (1, ["failed"])
    assert "n: 'six' (expected an integer)" in done.rows[0]["error"]["message"]
    mill.run("submit", "no_such", "1", cwd=tmp_path).refused("no task is called 'no_such'")
    mill.run("submit", "doubel", "1", cwd=tmp_path).refused("no task is called 'doubel': did you mean 'double'?")


def test_a_program_without_the_module_does_too(other):
    directory, environ = other
    lines = python(PROGRAM, directory, **environ).splitlines()
    assert lines[:2] == ["[3.0, 3.0]", "[0, 2, 4]"]
    assert lines[2].startswith("item 0: missing value for day")
    assert lines[3].startswith("unknown parameter: 'nope'")
    assert lines[4].startswith("1 invalid value for n: 'two' (expected an integer")
    assert len(lines) == 5


def test_a_program_is_told_what_a_command_is_told(mill, other):
    directory, environ = other
    (directory / "mine.py").write_text(UNKNOWN)
    done = mill.process([sys.executable, str(directory / "mine.py")], cwd=directory, **environ)
    refusal, queue = done.good().out.splitlines()
    assert "knows task 'mine'" in refusal
    assert "GRISTMILL_TASK_MODULES" in refusal
    assert queue == "gpu"
    assert "no worker listens to queue gpu" in done.err


def test_a_task_that_no_worker_knows_yet(mill, tmp_path):
    write(tmp_path, {"extra.py": "from gristmill import cpu\n\n\n@cpu\ndef more(n: int) -> int:\n    return n\n"})
    place = {"cwd": tmp_path, "GRISTMILL_TASK_MODULES": "extra"}
    lines = mill.run("tasks", **place).good().out.splitlines()
    assert [line.strip() for line in lines if line.strip().startswith("on ")].count("on no worker") == 1
    refusal = mill.run("submit", "more", "1", **place).refused("'more'", "cpu@")
    assert "GRISTMILL_TASK_MODULES names its module already" in refusal


def test_code_that_differs_is_named(mill):
    taxes = mill.cwd / "shop" / "taxes.py"
    before = taxes.read_text()
    taxes.write_text("RATE = 2.0\n")
    try:
        done = mill.run("submit", "cost", "2026-01-31", cwd=mill.cwd).good()
        assert "another version of task 'cost' (module shop.taxes differs)" in done.err
        done = mill.run("doctor", "--json", cwd=mill.cwd)
        advice = {row["state"]: row["advice"] for row in done.rows if row["advice"] != "OK"}
        (difference,) = (text for state, text in advice.items() if state.startswith("'cost' "))
        assert "(module shop.taxes differs)" in difference
        assert not any("'double'" in state for state in advice)
        done = mill.run("submit", "double", "1", cwd=mill.cwd).good()
        assert "another version" not in done.err
    finally:
        taxes.write_text(before)
