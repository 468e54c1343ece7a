"""docs/workflows.md: its tasks, its commands and its program run as they stand there."""

import json
import re
import sys

import pytest

from tests.support.command import Place
from tests.support.examples import DOCS, blocks, section

FETCH = section(DOCS / "workflows.md", "Fetch, parse, report")
TASKS, PROGRAM = (code for _, code in blocks(FETCH, "python"))
PAGES = {"a.html": ["x/one.jpg", "two.png", "none"], "b.html": ["three.jpg"]}


@pytest.fixture(scope="module")
def place(tmp_path_factory):
    """The page's project, while `gristmill up` runs in it."""
    place = Place(tmp_path_factory.mktemp("workflows") / "place")
    place.environ["GRISTMILL_TASK_MODULES"] = "links"
    (place.cwd / "links.py").write_text(TASKS)
    for name, links in PAGES.items():
        (place.cwd / name).write_text("".join(f'<a href="{link}">' for link in links))
    with place.up("cpu", "io", cwd=place.cwd):
        yield place


def batches(place, *options):
    return [json.loads(line) for line in place.run("batches", "--json", *options).good().out.splitlines()]


def test_the_commands_of_the_page(place):
    commands = [line.split()[1:] for _, code in blocks(FETCH, "sh") for line in code.splitlines()]
    for words in commands[:-1]:
        place.run(*words).good()
    rows = batches(place, *commands[-1][1:])
    assert [(row["name"], row["state"], row["submitted"]) for row in rows] == [
        ("pages", "succeeded", 2),
        ("parsed", "failed", 4),
        ("report", "succeeded", 1),
    ]
    lines = (place.cwd / "reports" / "parsed.txt").read_text().splitlines()
    assert sorted(lines) == ["one .jpg", "three .jpg", "two .png"]
    refusal = place.run("delete", "--workflow", "pages", "report")
    assert refusal.code == 2
    place.run("delete", "--workflow", "pages").good()
    assert batches(place) == []


def test_the_program_of_the_page(place):
    done = place.process([sys.executable, "-c", PROGRAM]).good()
    assert done.out.strip() == "succeeded"


def test_a_workflow_as_one(place):
    place.run("submit", "links", "a.html", "missing.html", "--name", "one").good()
    place.run("watch", "one")
    place.run("submit", "parse", "x.jpg", "--name", "two", "--after", "one").good()
    place.run("submit", "parse", "y.jpg", "--name", "three", "--after", "two").good()
    assert [row["state"] for row in batches(place, "--workflow", "two")] == ["failed", "cancelled", "cancelled"]
    assert batches(place, "--workflow", "three")[1]["reason"] == "one failed"
    (place.cwd / "missing.html").write_text("")
    place.run("retry", "--workflow", "two").good()
    place.run("watch", "three").good()
    assert [row["state"] for row in batches(place, "--workflow", "one")] == 3 * ["succeeded"]


def test_a_retried_workflow_ends_as_if_nothing_had_failed(place):
    place.run("submit", "links", "a.html", "late.html", "--name", "pages-3").good()
    place.run("submit", "parse", "--from-batch", "pages-3", "--flatten", "--name", "parsed-3").good()
    place.run("submit", "report", "parsed-3", "--after", "parsed-3:ended", "--name", "early").good()
    place.run("watch", "--workflow", "early", "--max-wait", "60s")
    assert [row["submitted"] for row in batches(place, "--workflow", "early")] == [2, 3, 1]
    (place.cwd / "late.html").write_text('<a href="four.jpg">')
    said = place.run("retry", "--workflow", "early").good().err.splitlines()
    about = [found[1] for line in said if (found := re.search(r"\bbatch ([\w-]+)", line))]
    assert list(dict.fromkeys(about)) == ["pages-3", "parsed-3", "early"]
    place.run("submit", "report", "parsed-3", "--after", "parsed-3:ended", "--name", "anew").good()
    place.run("watch", "anew", "--max-wait", "60s").good()
    rows = {row["name"]: row for row in batches(place, "--workflow", "early")}
    assert (rows["pages-3"]["state"], rows["parsed-3"]["submitted"], rows["parsed-3"]["succeeded"]) == (
        "succeeded",
        4,
        3,
    )
    assert {name: row["superseded"] for name, row in rows.items() if row["superseded"]} == {"early": ["parsed-3"]}
    lines = (place.cwd / "reports" / "parsed-3.txt").read_text().splitlines()
    assert sorted(lines) == ["four .jpg", "one .jpg", "two .png"]


def test_a_workflow_is_cancelled_as_one(place):
    assert place.run("submit", "parse", "--from-batch", "none", "--name", "four").code == 2
    for name, conditions in (("five", ("--in", "1h")), ("six", ("--after", "five:ended"))):
        place.run("submit", "parse", "z.jpg", "--name", name, *conditions).good()
    done = place.run("cancel", "--workflow", "five").good()
    assert [line.partition(":")[0] for line in done.err.splitlines()[-2:]] == ["batch six", "batch five"]
    assert [(row["succeeded"], row["cancelled"]) for row in batches(place, "--workflow", "six")] == 2 * [(0, 1)]
