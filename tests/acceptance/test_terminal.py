"""What a person sees at a terminal, and what a file gets meanwhile."""

import json

import pytest

from tests.support.terminal import on_terminal


def lines_of(done):
    """The lines of results on the screen, which begin with an index; the bar and notes are the others."""
    return [line for line in done.err.splitlines() if line.strip()[:1].isdigit() and line.rstrip().endswith(" s")]


@pytest.mark.parametrize("command", [("run",), ("submit", "--follow")], ids=["run", "submit"])
def test_results_are_one_short_line_each(fleet, name, command):
    done = on_terminal(fleet, *command, "odd", "a", "raise", "--name", name, columns=90)
    assert done.code == 1
    rows = sorted(line.split()[:2] for line in lines_of(done))
    assert rows == [["0", "a"], ["1", "raise"]]
    assert all(len(line) == 90 for line in lines_of(done))
    assert "failed: LookupError" in done.err
    assert '{"index"' not in done.err


def test_results_of_a_batch_that_has_ended(fleet, name):
    fleet.run("run", "odd", "a", "raise", "--name", name)
    assert [line.split()[1] for line in lines_of(on_terminal(fleet, "results", name))] == ["a", "raise"]
    assert '{"index":0,' in on_terminal(fleet, "results", name, "--json").err
    done = on_terminal(fleet, "results", name, "--failed")
    assert [line.split()[1] for line in lines_of(done)] == ["raise"]


def test_a_file_gets_the_results_and_the_terminal_the_bar(fleet, name, tmp_path):
    done = on_terminal(fleet, "run", "odd", "a", "b", "--name", name, stdout=tmp_path / "out")
    assert done.code == 0
    assert sorted(json.loads(line)["value"] for line in done.out.splitlines()) == ["a", "b"]
    assert '"value"' not in done.err
    assert f"batch {name}: succeeded" in done.err


@pytest.mark.parametrize("form", ["text", "csv", "jsonl"])
def test_in_a_pipe_the_form_is_the_one_asked_for(fleet, name, form):
    fleet.run("run", "odd", "a", "--name", name).good()
    text = fleet.run("results", name, "--format", form).good().out
    assert text.startswith({"text": "0\ta\ta\t", "csv": "index,input,", "jsonl": '{"index":0,'}[form])


def test_in_order_on_run_and_submit(fleet, name):
    items = ["0.4", "0.3", "0.2", "0.1"]
    done = fleet.run("run", "pause", *items, "-k", "--name", name).good()
    assert [row["index"] for row in done.rows] == [0, 1, 2, 3]
    done = fleet.run("submit", "pause", *items, "--follow", "--in-order", "--name", f"{name}-2").good()
    assert [row["index"] for row in done.rows] == [0, 1, 2, 3]


def test_options_that_print_results_go_with_follow(unchanged):
    for option in (("-k",), ("--json",), ("--format", "csv")):
        unchanged.run("submit", "odd", "a", *option).refused("--follow")


@pytest.mark.parametrize("task", ["odd", "oddly"])
def test_run_shows_what_items_write(fleet, name, task):
    done = on_terminal(fleet, "run", task, "say", "say no", "--name", name)
    lines = [line.strip() for line in done.err.splitlines()]
    assert {"0 | say", "1 | say no", r"1 | \x1b[2Jand more"} <= set(lines)
