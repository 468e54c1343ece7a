"""The public API: its names, what importing it loads, and the errors that a caller may catch."""

import pickle
import subprocess
import sys

import pytest
from celery import Task

import gristmill
from gristmill import errors, files
from gristmill.batches.result import Result

NAMES = ["Batch", "BatchInfo", "Result", "Schedule", "ScheduleInfo", "State", "batches", "cpu", "io", "item"]
NAMES += ["open_batch", "open_schedule", "schedule", "schedules", "submit"]


def python(code):
    return subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout


def test_the_names_are_those_of_the_contract():
    assert sorted(gristmill.__all__) == NAMES
    assert all(getattr(gristmill, name) for name in NAMES)
    assert set(NAMES) <= set(dir(gristmill))
    assert {"new_file", "open_under_root"} <= set(files.__all__)
    with pytest.raises(AttributeError, match="nothing"):
        gristmill.nothing  # noqa: B018


def test_importing_it_loads_neither_celery_nor_redis():
    heavy = ("celery", "kombu", "pydantic", "redis")
    code = f"import sys, gristmill, gristmill.errors; print(sorted({{*{heavy}}} & set(sys.modules)))"
    assert python(code) == "[]\n"


def test_batches_is_the_function_also_after_the_subpackage_was_imported():
    code = "import gristmill.batches.info; from gristmill import batches; "
    code += "print(batches.__module__, gristmill.batches is batches)"
    assert python(code) == "gristmill.producer.batches True\n"


@pytest.mark.parametrize("room", ["config", "producer", "tasks"])
def test_a_room_cannot_be_imported_a_second_time_under_another_name(room):
    with pytest.raises(ImportError, match=f"gristmill.{room}"):
        __import__(room)


def test_a_type_checker_is_told_of_names_that_celerys_task_has():
    names = {name for name in Task.__dict__ if not name.startswith("_")}
    told = {"apply", "apply_async", "signature", "subtask", "map", "starmap", "chunks", "retry", "replace", "delay"}
    assert told | {"s", "si", "update_state", "AsyncResult", "request", "backend", "app", "name", "run"} <= names


def test_an_error_about_a_setting_is_no_error_about_input():
    assert not issubclass(errors.SettingError, errors.InputError)
    assert (errors.SettingError.exit_code, errors.InputError.exit_code, errors.ItemFailed.exit_code) == (2, 2, 1)


def test_the_tree_in_the_docstring_is_that_of_the_classes():
    lines = [line for line in errors.__doc__.splitlines() if " exit " in line and "Python" not in line]
    classes = [vars(errors)[line.strip("├└─│ ").split()[0]] for line in lines]
    assert [line.endswith(f"exit {kind.exit_code}") for line, kind in zip(lines, classes, strict=True)] == [True] * 7
    assert {*classes} == {kind for kind in vars(errors).values() if isinstance(kind, type)}


def test_the_failure_of_an_item_carries_its_result_between_processes():
    result = Result(3, "a.jpg", "failed", None, {"type": "OSError", "message": "gone", "traceback": ""}, 1, 0.1, "w", 7)
    error = pickle.loads(pickle.dumps(errors.ItemFailed("item 3 failed", result)))
    assert (str(error), error.result) == ("item 3 failed", result)


class Broken:
    def __repr__(self):
        raise RuntimeError("no text")


@pytest.mark.parametrize(
    "value",
    ["ten", "x" * 1000, 10**5000, [10**5000], Broken(), "\ud800"],
    ids=["text", "long", "integer", "list", "broken", "surrogate"],
)
def test_an_error_shows_any_value_on_one_line(value):
    text = errors.invalid_value("n", value, "an integer")
    assert text.startswith("invalid value for n: ")
    assert text.endswith(" (expected an integer)")
    assert len(text) < 250
    assert "\n" not in text
