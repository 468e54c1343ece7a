"""What is imported is declared, and what is declared is imported; the lock files have what is declared."""

import ast
import re
import sys
import tomllib
from importlib.metadata import packages_distributions

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from tests.support.examples import PROJECT

DECLARED = tomllib.loads((PROJECT / "pyproject.toml").read_text())
#: What these programs import, which run in environments of their own, is no dependency of ours.
APART = PROJECT / "benchmarks" / "peers" / "apps"
#: Programs that run in environments of their own too; they import from APART, by a bare name.
ALSO_APART = {PROJECT / "benchmarks" / "ab" / f"{name}.py" for name in ("plain_app", "probe")}
#: Engines whose private names we use: a new minor version may change any of them.
ENGINES = ("billiard", "celery", "flower", "kombu")


def imported(*rooms):
    """The distributions that the Python files of those folders import, by normalised name."""
    files = [
        path
        for room in rooms
        for path in (PROJECT / room).rglob("*.py")
        if APART not in path.parents and path not in ALSO_APART
    ]
    # Tests of one folder import each other without the folder's name.
    ours = {"gristmill", "tests", "benchmarks"} | {path.stem for path in files if path.stem.startswith("test_")}
    names = set()
    for path in files:
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.Import):
                names |= {alias.name.partition(".")[0] for alias in node.names}
            elif isinstance(node, ast.ImportFrom) and node.module:
                names.add(node.module.partition(".")[0])
    names -= sys.stdlib_module_names | ours
    distributions = packages_distributions()
    return {canonicalize_name(distributions[name][0]) for name in names}


def requirements(*lines):
    return {canonicalize_name(requirement.name): requirement for requirement in map(Requirement, lines)}


def dependencies():
    return requirements(*DECLARED["project"]["dependencies"])


def pins(name):
    """The versions of a lock file, by normalised name."""
    found = re.findall(r"^([\w.-]+)==(\S+)", (PROJECT / name).read_text(), re.MULTILINE)
    return {canonicalize_name(name): version for name, version in found}


def test_the_package_imports_what_it_declares_and_nothing_else():
    extras = requirements(*DECLARED["project"]["optional-dependencies"]["plot"])
    assert imported("gristmill", "config", "producer", "tasks") == {*dependencies(), *extras}


def test_tests_and_benchmarks_import_what_is_declared():
    # uv, the linters and pytest's plug-ins are run, and not imported.
    group = requirements(*DECLARED["dependency-groups"]["dev"])
    assert imported("tests", "benchmarks") - dependencies().keys() - group.keys() == set()


@pytest.mark.parametrize("name", ENGINES)
def test_engines_have_an_upper_bound(name):
    specifier = dependencies()[name].specifier
    (lower,) = [each.version for each in specifier if each.operator == ">="]
    major, minor = map(int, lower.split(".")[:2])
    assert not specifier.contains(f"{major}.{minor + 1}")


@pytest.mark.parametrize("lock", ["requirements.lock", "requirements-dev.lock"])
def test_lock_files_have_what_is_declared(lock):
    declared = dependencies() | requirements(*DECLARED["dependency-groups"]["build"])
    if lock == "requirements-dev.lock":
        declared |= requirements(*DECLARED["dependency-groups"]["dev"])
        declared |= requirements(*DECLARED["project"]["optional-dependencies"]["plot"])
    versions = pins(lock)
    for name, requirement in declared.items():
        assert requirement.specifier.contains(versions[name], prereleases=True), requirement


def test_the_lock_files_agree():
    assert pins("requirements.lock").items() <= pins("requirements-dev.lock").items()
