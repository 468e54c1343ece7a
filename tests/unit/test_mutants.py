"""The list of guards is true: each text stands once in its file, each test exists, each promise is in the design."""

import re
from pathlib import Path

import pytest

from tests.mutants.guards import MUTANTS

PROJECT = Path(__file__).parent.parent.parent


@pytest.mark.parametrize("mutant", MUTANTS, ids=lambda mutant: mutant.name)
def test_a_guard_is_where_the_list_says(mutant):
    assert (PROJECT / mutant.path).read_text().count(mutant.text) == 1
    assert mutant.text != mutant.mutation
    path, _, names = mutant.test.partition("::")
    page = (PROJECT / path).read_text()
    for name in names.partition("[")[0].split("::"):
        assert re.search(rf"(?:def|class) {name}\b", page), name


def test_there_are_forty_guards_with_names_of_their_own():
    assert len({mutant.name for mutant in MUTANTS}) == len(MUTANTS) >= 40


def test_each_promise_stands_in_the_design():
    lines = (PROJECT / "docs" / "design.md").read_text().splitlines()
    assert [one.promise for one in MUTANTS if not any(line.startswith(one.promise) for line in lines)] == []
