"""`gristmill watch` with several batches: until each has ended, or the first one; its codes and its lines."""

import json
import threading

import click
import pytest

from gristmill.cli.watch import command
from tests.conftest import until
from tests.support.ledger import run_all, submit


def watch(*words):
    return command.main(list(words), standalone_mode=False)


@pytest.fixture
def ended(here, control):
    """Batches that have ended, and `left`, which goes on."""
    submit(here, "good", 1)
    run_all(here)
    submit(here, "bad", 1)
    run_all(here, state="failed")
    submit(here, "left", 1)
    return here


def rows(capsys):
    return [json.loads(line) for line in capsys.readouterr().out.splitlines()]


@pytest.mark.parametrize(("names", "code"), [(("good",), 0), (("good", "bad"), 1), (("good", "good"), 0)])
def test_it_ends_with_all_and_with_the_worst_code(ended, capsys, names, code):
    assert watch(*names, "--json") == code
    assert [(row["name"], row["left"]) for row in rows(capsys)] == [(name, 0) for name in dict.fromkeys(names)]
    assert watch(*names) == code
    err = capsys.readouterr().err
    assert all(f"batch {name}: " in err for name in names)


@pytest.mark.parametrize(("other", "code"), [("good", 0), ("bad", 1)])
def test_any_ends_with_the_first(ended, capsys, other, code):
    assert watch("left", other, "--any", "--json", "--max-wait", "30s") == code
    assert {(row["name"], row["left"]) for row in rows(capsys)} == {("left", 1), (other, 0)}


def test_all_waits_for_the_last(ended, capsys):
    codes = []
    waiting = threading.Thread(target=lambda: codes.append(watch("good", "left", "--json")))
    waiting.start()
    lines = []
    until(lambda: lines.extend(rows(capsys)) or [row["name"] for row in lines].count("left") > 1)
    assert codes == []
    run_all(ended)
    waiting.join()
    lines += rows(capsys)
    assert codes == [0]
    assert [row["name"] for row in lines].count("good") == 1
    assert (lines[-1]["name"], lines[-1]["state"]) == ("left", "succeeded")


def test_those_that_go_on_are_named_when_the_wait_is_over(ended):
    with pytest.raises(TimeoutError, match="'left'"):
        watch("good", "left", "--max-wait", "0.1")


def test_a_workflow(ended, capsys):
    submit(ended, "after", 1, after="left")
    submit(ended, "beside", 1)
    run_all(ended)
    assert watch("--workflow", "after", "--json") == 0
    assert {row["name"] for row in rows(capsys)} == {"left", "after"}
    with pytest.raises(click.UsageError):
        watch("--workflow", "after", "good")
