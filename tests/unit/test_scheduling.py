"""Which process of pytest-xdist runs a test."""

import re

import pytest

from tests.conftest import ENGINE, Files
from tests.support.examples import PROJECT


@pytest.mark.parametrize(
    ("nodeid", "scope"),
    [
        ("tests/unit/test_a.py::TestB::test_c[d::e]", "tests/unit/test_a.py"),
        ("tests/acceptance/test_compose.py::test_b", "engine"),
    ],
)
def test_a_file_is_run_by_one_and_the_engine_is_used_by_one(nodeid, scope):
    assert Files._split_scope(Files.__new__(Files), nodeid) == scope


def test_the_files_that_use_the_engine_are_listed():
    files = (PROJECT / "tests").rglob("test_*.py")
    users = {path for path in files if re.search("^from tests.support.engine import", path.read_text(), re.MULTILINE)}
    assert {str(path.relative_to(PROJECT)) for path in users} == ENGINE
