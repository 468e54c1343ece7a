"""Which process of pytest-xdist runs a test."""

import re
from types import SimpleNamespace

import pytest

from tests.conftest import APART, ENGINE, LONGEST, Units, pytest_collection_modifyitems
from tests.support.examples import PROJECT


@pytest.mark.parametrize(
    ("nodeid", "scope"),
    [
        ("tests/unit/test_a.py::TestB::test_c[d::e]", "tests/unit/test_a.py"),
        ("tests/acceptance/test_compose.py::test_b", "engine"),
        ("tests/acceptance/test_kills.py::TestB::test_c", "tests/acceptance/test_kills.py::TestB::test_c"),
    ],
)
def test_a_file_is_run_by_one_the_engine_is_used_by_one_and_tests_apart_by_any(nodeid, scope):
    assert Units._split_scope(Units.__new__(Units), nodeid) == scope


def test_the_files_that_use_the_engine_are_listed():
    files = (PROJECT / "tests").rglob("test_*.py")
    users = {path for path in files if re.search("^from tests.support.engine import", path.read_text(), re.MULTILINE)}
    assert {str(path.relative_to(PROJECT)) for path in users} == ENGINE


def test_the_files_with_tests_apart_exist_and_share_no_fixture_that_costs_anything():
    texts = {path: (PROJECT / path).read_text() for path in APART}
    shared = {path: re.findall(r'scope="(?:module|class)"\)\ndef (\w+)', text) for path, text in texts.items()}
    assert {path: names for path, names in shared.items() if names} == {
        "tests/model/test_explorer.py": ["model_client"]
    }


def test_slow_tests_begin_first_and_of_them_what_takes_longest():
    names = ["tests/unit/test_a.py::test_b", "tests/acceptance/test_a.py::test_b", f"{LONGEST[0]}::test_b"]
    items = [
        SimpleNamespace(
            nodeid=name, path=name.partition("::")[0], get_closest_marker=lambda mark, slow=slow: mark if slow else None
        )
        for slow in (False, True)
        for name in names
    ]
    ordered = [*items[:2:-1], *items[2::-1]]
    pytest_collection_modifyitems(items)
    assert items == ordered


def test_what_takes_longest_exists():
    files = [path for name in LONGEST for path in [PROJECT / name.partition("::")[0]] if not path.exists()]
    assert files == []
