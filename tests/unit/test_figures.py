"""Figures in words."""

import pytest

from gristmill.config.figures import item_count


@pytest.mark.parametrize(
    ("number", "verb", "words"),
    [
        (0, "", "0 items"),
        (1, "", "1 item"),
        (2500, "", "2,500 items"),
        (1, "run", "1 item runs"),
        (2, "run", "2 items run"),
        (1, "are", "1 item is"),
        (0, "are", "0 items are"),
    ],
)
def test_a_number_of_items(number, verb, words):
    assert item_count(number, verb) == words
