"""A result as one short line: whole in a pipe, cut to the width of a terminal."""

import pytest
from rich.cells import cell_len
from rich.console import Console

from gristmill.batches.result import Result
from gristmill.cli import terminal as terminal_module
from gristmill.cli.output import result_text

ERROR = {"type": "ValueError", "message": "no [b]good[/b]\nsecond line", "traceback": "…"}


def result(value=832040, item=30, state="succeeded", error=None, index=0):
    worker = None if state == "cancelled" else "cpu@host-a"
    return Result(index, item, state, value, error, 1, 0.213, worker, 4711)


@pytest.fixture
def terminal(monkeypatch):
    """Make stdout a terminal of so many columns."""

    def make(columns, colour=None):
        console = Console(force_terminal=True, width=columns, color_system=colour, legacy_windows=False)
        monkeypatch.setattr(terminal_module, "stdout", console)
        monkeypatch.setattr(result_text, "on_terminal", lambda _stream: True)
        return result_text.line_of(terminal=True)

    return make


@pytest.mark.parametrize(
    ("given", "line"),
    [
        (result(), "0\t30\t832040\t0.21 s"),
        (result("text", "in put"), "0\tin put\ttext\t0.21 s"),
        (result({"a": [1, None]}), '0\t30\t{"a": [1, null]}\t0.21 s'),
        (result(None, error=ERROR, state="failed"), "0\t30\tfailed: ValueError: no [b]good[/b]\\nsecond line\t0.21 s"),
        (result(None, state="cancelled"), "0\t30\tcancelled\t"),
        (result("x" * 500, index=1_234_567), f"1234567\t30\t{'x' * 500}\t0.21 s"),
        (result("\x1b[31m"), "0\t30\t\\x1b[31m\t0.21 s"),
    ],
)
def test_in_a_pipe_it_is_whole(given, line):
    assert result_text.line_of(terminal=False)(given) == line


@pytest.mark.parametrize("columns", [40, 80, 200])
@pytest.mark.parametrize("value", [7, "x" * 5000, "漢字" * 500, "é" * 300])
@pytest.mark.parametrize("item", [30, "a/very/long/path/" * 20, {"left": 1, "right": 2}])
def test_on_a_terminal_it_is_one_line_of_its_width(terminal, columns, value, item):
    line = terminal(columns)(result(value, item))
    assert cell_len(line) == columns
    assert line.endswith("0.21 s")
    assert line.startswith("     0  ")


def test_it_says_what_went_wrong_in_words_and_in_colour(terminal):
    failed = result(None, error=ERROR, state="dead")
    plain, coloured = terminal(80)(failed), terminal(80, "standard")(failed)
    assert "dead: ValueError: no [b]good[/b]" in plain
    assert "\x1b" not in plain
    assert "\x1b[31mdead: ValueError" in coloured


def test_what_does_not_fit_ends_with_an_ellipsis(terminal):
    assert "x…  " in terminal(60)(result("x" * 100))
