"""What the benchmark of programs says of its goals."""

import pytest

from benchmarks import programs


@pytest.mark.parametrize(
    ("ratios", "reached"),
    [
        ((1.0, 1.01, 1.02, 1.03, 1.04, 1.0), "yes"),
        ((1.1, 1.11, 1.12, 1.11, 1.2, 1.3), "**no**"),
        ((0.9, 1.2, 1.0, 1.1, 1.0, 1.1), "unresolved"),
        ((1.0, 1.01, 1.02), "unresolved"),
    ],
)
def test_programs_reach_a_goal_beside_another_tool_of_the_same_rounds(ratios, reached):
    theirs = [5.0 + number for number in range(len(ratios))]
    seconds = {"run": [ratio * other for ratio, other in zip(ratios, theirs, strict=True)], "xargs": theirs}
    (line,) = programs.goals("cpu", seconds).splitlines()[2:]
    assert line.split(" | ")[-1].removesuffix(" |") == reached
