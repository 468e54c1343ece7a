"""A project's own tasks: what `pyproject.toml` says, where modules are found, and what an error names."""

import json
import os
import sys

import pytest

from gristmill.config.environment import source_of
from gristmill.config.project import find_project
from gristmill.config.settings import load
from gristmill.errors import SettingError
from tests.support.projects import SHOP, python, write

CATALOG = """
import json
from gristmill.errors import GristmillError
from gristmill.tasks.catalog import catalog, find
try:
    found = catalog()
    print(json.dumps([found.sources, [module.name for module in found.empty_modules]]))
    find("nothing")
except GristmillError as error:
    print(json.dumps([type(error).__name__, str(error)]))
"""


@pytest.fixture
def shop(tmp_path):
    return write(tmp_path, SHOP)


def catalog(directory, **environ):
    """The sources of the tasks and the modules without a task; or the error."""
    return json.loads(python(CATALOG, directory, **environ).splitlines()[0])


@pytest.mark.parametrize("folder", [".", "sub", "shop"])
def test_the_tasks_of_a_project_are_known_at_and_below_its_file(shop, folder):
    sources, empty = catalog(shop / folder)
    own = {name: source for name, source in sources.items() if source != "shipped"}
    assert own == {"double": str(shop / "pyproject.toml"), "cost": str(shop / "pyproject.toml")}
    assert {name for name, source in sources.items() if source == "shipped"} >= {"fibonacci", "fetch"}
    assert empty == []


def test_they_are_unknown_above_it(shop):
    assert set(catalog(shop.parent)[0].values()) == {"shipped"}


def test_the_nearest_file_with_the_table_counts(shop):
    write(shop, {"sub/pyproject.toml": "[project]\nname = 'sub'\n", "sub/inner/pyproject.toml": "[tool.gristmill]\n"})
    assert find_project(shop / "sub").path == shop / "pyproject.toml"
    assert find_project(shop / "sub" / "inner").settings == {}


def test_the_search_ends_below_a_directory_that_everybody_may_write_to(shop):
    shop.chmod(0o777)
    assert find_project(shop / "sub") is None
    assert find_project(shop / "shop") is None


def test_the_environment_and_the_home_win_over_the_project(shop, monkeypatch):
    monkeypatch.chdir(shop)
    environ = {"GRISTMILL_HOME": str(shop / "home")}
    settings = load(environ)
    assert (settings.task_modules, settings.data_root) == (("tasks", "shop.jobs"), shop / "photos")
    assert source_of("task_modules", environ) == str(shop / "pyproject.toml")
    write(shop, {".env": "GRISTMILL_IO_SLOTS=5\nGRISTMILL_CPU_SLOTS=3\nGRISTMILL_TASK_MODULES=one\n"})
    write(shop, {"home/.env": "GRISTMILL_IO_SLOTS=6\n"})
    settings = load(environ)
    assert (settings.io_slots, settings.cpu_slots, settings.task_modules) == (6, 3, ("one",))
    assert source_of("task_modules", environ) == str(shop / ".env")
    environ["GRISTMILL_TASK_MODULES"] = "two"
    environ["GRISTMILL_DATA_ROOT"] = "/data"
    settings = load(environ)
    assert (settings.task_modules, str(settings.data_root)) == (("two",), "/data")
    assert source_of("task_modules", environ) == "GRISTMILL_TASK_MODULES"


def test_the_home_may_be_named_in_the_projects_env(shop, monkeypatch):
    monkeypatch.chdir(shop)
    write(shop, {".env": f"GRISTMILL_HOME={shop}/mill\n", "mill/.env": "GRISTMILL_IO_SLOTS=7\n"})
    assert (load({}).home, load({}).io_slots) == (shop / "mill", 7)


def test_a_directory_that_is_gone_is_no_project(tmp_path, monkeypatch):
    gone = tmp_path / "gone"
    gone.mkdir()
    monkeypatch.chdir(gone)
    gone.rmdir()
    try:
        assert load({"GRISTMILL_HOME": "/nowhere"}).task_modules == ()
    finally:
        os.chdir(tmp_path)


@pytest.mark.parametrize(
    ("table", "parts"),
    [
        ("[tool.gristmill]\ntask = ['x']\n", ["'task'", "expected tasks or data-root", "did you mean 'tasks'?"]),
        ("[tool.gristmill]\ntasks = 'shop.jobs'\n", ["tasks in ", "'shop.jobs'", "a list of module names"]),
        ("[tool.gristmill]\ntasks = ['shop/jobs.py']\n", ["tasks in ", "shop/jobs.py", "a list of module names"]),
        ("[tool.gristmill]\ntasks = [3]\n", ["tasks in ", "[3]", "a list of module names"]),
        ("[tool.gristmill]\ndata-root = 3\n", ["data-root in ", ": 3 ", "a directory"]),
        ("[tool]\ngristmill = 3\n", ["[tool.gristmill] in ", ": 3 ", "a table"]),
        ("[tool.gristmill\n", ["line 1", "TOML"]),
    ],
)
def test_an_error_names_the_file_the_key_the_value_and_what_is_expected(tmp_path, table, parts):
    path = write(tmp_path, {"pyproject.toml": table}) / "pyproject.toml"
    with pytest.raises(SettingError) as refused:
        find_project(tmp_path)
    assert [part for part in [str(path), *parts] if part not in str(refused.value)] == []


def test_a_file_of_others_is_not_read(tmp_path):
    assert find_project(write(tmp_path, {"pyproject.toml": "[tool.other\n"})) is None


@pytest.mark.parametrize(
    ("module", "text", "parts"),
    [
        ("jobs", "import os\nimport no_such_thing\n", ["'jobs'", "no_such_thing", "jobs.py:2", sys.executable]),
        ("jobs", "import inner\n", ["inner.py:1", "KeyError", "'x'"]),
        ("jobs", "x = (\n", ["SyntaxError", "jobs.py:1"]),
        ("jobs", "raise SystemExit('no')\n", ["SystemExit", "no", "jobs.py:1"]),
        ("jobs", "import json\njson.loads('x')\n", ["JSONDecodeError", "jobs.py:2"]),
        ("jobs.py", "", ["it is a path", "did you mean 'jobs'?"]),
        ("./shop/jobs.py", "", ["it is a path", "did you mean 'shop.jobs'?"]),
        ("nowhere", "", ["'nowhere'", sys.executable]),
        (
            "jobs",
            "from gristmill import cpu\n@cpu\ndef fetch(n: int) -> int: ...\n",
            ["TypeError", "'fetch'", "jobs.py:2"],
        ),
    ],
)
def test_a_module_that_cannot_be_imported_is_explained(tmp_path, module, text, parts):
    write(tmp_path, {"jobs.py": text, "inner.py": "{}['x']\n"})
    kind, message = catalog(tmp_path, GRISTMILL_TASK_MODULES=module)
    assert kind == "SettingError"
    assert [part for part in ["GRISTMILL_TASK_MODULES: ", *parts] if part not in message] == []
    assert "\n" not in message


def test_a_module_without_a_task_is_named(tmp_path):
    write(tmp_path, {"jobs.py": "def work(n: int) -> int: ...\n"})
    printed = python(CATALOG, tmp_path, GRISTMILL_TASK_MODULES="jobs").splitlines()
    assert json.loads(printed[0])[1] == ["jobs"]
    kind, message = json.loads(printed[1])
    assert kind == "InputError"
    assert "module 'jobs' (GRISTMILL_TASK_MODULES) has no task" in message


def test_a_module_that_was_imported_before_has_the_tasks_that_it_makes_of_functions_of_others(tmp_path):
    jobs = "from gristmill import cpu\nfrom work import work\nwork = cpu(work)\n"
    write(tmp_path, {"first.py": "import jobs\n", "jobs.py": jobs, "work.py": "def work(n: int) -> int: ...\n"})
    sources, empty = catalog(tmp_path, GRISTMILL_TASK_MODULES="first,jobs")
    assert "work" in sources
    assert empty == []


def test_entry_points_of_installed_distributions_name_modules_too(tmp_path):
    write(
        tmp_path,
        {
            "mill_jobs.py": "from gristmill import io\n@io\ndef grind(n: int) -> int:\n    return n\n",
            "mill_jobs-1.2.dist-info/METADATA": "Metadata-Version: 2.1\nName: mill-jobs\nVersion: 1.2\n",
            "mill_jobs-1.2.dist-info/entry_points.txt": "[gristmill.tasks]\njobs = mill_jobs\n",
            "other.py": "from gristmill import io\n@io\ndef other(n: int) -> int:\n    return n\n",
        },
    )
    sources, _ = catalog(tmp_path, PYTHONPATH=str(tmp_path), GRISTMILL_TASK_MODULES="other")
    assert sources["grind"] == "entry point 'jobs' of mill-jobs 1.2"
    assert sources["other"] == "GRISTMILL_TASK_MODULES"
