"""The tests that docs/security.md cites are there."""

import ast
import re

from tests.support.examples import PROJECT, section

PAGE = PROJECT / "docs" / "security.md"


def test_each_attempt_is_a_test():
    rows = [line for line in section(PAGE, "What was tried").splitlines() if line.startswith("| ")][2:]
    assert len(rows) > 10
    for row in rows:
        cited = re.findall(r"`(tests/[\w/]+\.py)::(\w+)`", row)
        assert cited, row
        for path, name in cited:
            tree = ast.parse((PROJECT / path).read_text())
            assert name in {node.name for node in ast.walk(tree) if isinstance(node, ast.FunctionDef)}, row
