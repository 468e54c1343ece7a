"""The files that share a fleet or a browser are those that `tests/conftest.py` lists: see `Units` there."""

import ast
from pathlib import Path

from tests.conftest import ENGINE, FLEET
from tests.support.examples import PROJECT

SHARED = {"address", "chromium", "fleet", "page", "unchanged"}


def shares(path: Path) -> bool:
    """Whether a test or a fixture of a file asks for something shared that the file does not make itself."""
    functions = [node for node in ast.walk(ast.parse(path.read_text())) if isinstance(node, ast.FunctionDef)]
    fixtures = {each.name for each in functions if any("fixture" in ast.unparse(mark) for mark in each.decorator_list)}
    users = [each for each in functions if each.name.startswith("test_") or each.name in fixtures]
    asked = {(each.name, argument.arg) for each in users for argument in each.args.args if argument.arg in SHARED}
    # A fixture that asks for its own name adds to what is shared.
    return any(name not in fixtures or name == user for user, name in asked)


def test_the_files_that_share_a_fleet_or_a_browser_are_listed() -> None:
    paths = (PROJECT / "tests" / "acceptance").glob("test_*.py")
    sharing = {path.relative_to(PROJECT).as_posix() for path in paths if shares(path)}
    assert sharing - ENGINE == FLEET
