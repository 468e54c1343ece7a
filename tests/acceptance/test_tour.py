"""docs/threads-to-fleet.md: each step runs, with small numbers, and prints the lines that the page shows."""

import re
import socket

import pytest

from tests.support.tour import Tour, steps

#: Enough for processes to be at work, and not for a learner to fall asleep.
SMALL = {"NUMBERS": "20,22,24,26", "NUMBER": "20"}


def lines(text: str) -> set[tuple[str, ...]]:
    """The words of each line, without numbers, paths, this host's name, and what only a slow step says."""
    text = re.sub(rf"\b({re.escape(socket.gethostname())}|vm)\b", "host", text)
    text = re.sub(r"(?<!\S)[/…]\S+", "path", re.sub(r"\d+ min \d+ s", "0 s", text))
    words = (tuple(re.findall(r"[A-Za-z_]+", line)) for line in text.splitlines())
    return {line for line in words if "left" not in line}


@pytest.mark.slow
def test_each_step_of_the_tour_prints_what_the_page_shows(tmp_path):
    seen = 0
    for step, output in Tour(tmp_path / "tour", **SMALL).outputs():
        if step.text is not None:
            missing = lines(step.text) - lines(output)
            assert not missing, f"{step.code}printed:\n{output}"
            seen += 1
    assert seen == sum(step.text is not None for step in steps()) > 5
