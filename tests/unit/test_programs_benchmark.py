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


def test_what_a_tool_takes_beyond_the_other_one_is_of_the_same_round():
    theirs = [programs.Cost(5.0, 9.0), programs.Cost(6.0, 20.0)]
    costs = {"xargs": theirs, "run": [programs.Cost(6.0, each.cpu + 1.5) for each in theirs]}
    rows = dict(line.strip("| ").split(" | ", 1) for line in programs.medians(costs, 1000).splitlines()[2:] if line)
    assert rows["run"].split(" | ")[-1] == "1.50"
    assert rows["xargs"].split(" | ")[-1] == "0.00"
