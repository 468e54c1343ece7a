"""Two tasks of one name are an error that names both, whoever made the first."""

import pytest

from tests.support.projects import python, write

SHARED = """
from celery import shared_task
from gristmill import cpu


@shared_task(name="square")
def old(n):
    return n


@cpu
def square(n: int) -> int:
    return n * n
"""
TWICE = "from gristmill import io\n\n\n@io\ndef square(n: int) -> int:\n    return n\n"

FIND = """
from gristmill.errors import SettingError
from gristmill.tasks import catalog

try:
    catalog.load()
except SettingError as error:
    print(error)
"""


@pytest.mark.parametrize(
    ("modules", "words"),
    [
        ({"jobs": SHARED}, ("@shared_task", "@cpu", "in jobs")),
        ({"first": TWICE, "jobs": TWICE}, ("in first", "in jobs", "@io(name=")),
    ],
)
def test_a_second_task_of_a_name_is_refused(tmp_path, modules, words):
    write(tmp_path, {f"{name}.py": text for name, text in modules.items()})
    text = python(FIND, tmp_path, GRISTMILL_TASK_MODULES=",".join(modules))
    assert text.count("\n") == 1
    for word in ("cannot import 'jobs'", "'square'", *words):
        assert word in text
