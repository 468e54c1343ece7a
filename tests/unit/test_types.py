"""What a type checker says to a user: strict mypy passes right calls and the examples of the pages, no wrong call."""

import os
import re
import subprocess
import sys

import pytest

from tests.support.examples import PROJECT, blocks

CALLS = PROJECT / "tests" / "support" / "typed_calls.py"
PAGES = {"python_page": "docs/python.md", "tasks_page": "docs/tasks.md", "readme": "README.md"}
#: What strict checks and `pyproject.toml` leaves out. The other options are the same: what `make types` found out about
#: our modules need not be found out again.
STRICT = "# mypy: disallow-subclassing-any, disallow-untyped-decorators"

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def errors(tmp_path_factory):
    """What mypy says of each file of a user's project: the numbers of its lines, with the errors."""
    project = tmp_path_factory.mktemp("project")
    texts = {"typed_calls": CALLS.read_text()}
    for name, page in PAGES.items():
        parts = [code for _, code in blocks((PROJECT / page).read_text(), "python")]
        texts[name] = "\n".join(parts)
        if name == "readme":
            texts["photos"] = parts[0]
    files = sorted(f"{name}.py" for name in texts)
    for name, text in texts.items():
        (project / f"{name}.py").write_text(f"{text}\n{STRICT}\n")
    options = [f"--config-file={PROJECT / 'pyproject.toml'}", f"--cache-dir={PROJECT / '.mypy_cache'}", "--no-pretty"]
    mypy = [sys.executable, "-m", "mypy", *options]
    environ = {**os.environ, "MYPYPATH": str(PROJECT)}
    done = subprocess.run([*mypy, *files], cwd=project, env=environ, capture_output=True, text=True, check=False)
    assert not done.stderr, done.stderr
    said: dict[str, dict[int, str]] = {name: {} for name in files}
    for name, line, text in re.findall(r"^(\w+\.py):(\d+): error: (.*)$", done.stdout, re.MULTILINE):
        said[name].setdefault(int(line), text)
    return said


def test_wrong_calls_are_errors_and_right_ones_are_not(errors):
    lines = CALLS.read_text().splitlines()
    wrong = {number for number, line in enumerate(lines, 1) if line.endswith("# wrong")}
    assert len(wrong) > 15
    assert {
        number: errors["typed_calls.py"].get(number) for number in wrong if number not in errors["typed_calls.py"]
    } == {}
    assert {number: text for number, text in errors["typed_calls.py"].items() if number not in wrong} == {}


@pytest.mark.parametrize("name", [*PAGES, "photos"])
def test_the_examples_of_the_pages_pass(errors, name):
    assert errors[f"{name}.py"] == {}
