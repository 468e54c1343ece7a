"""docs/workflows.md, "Each night": its tasks and its commands run as they stand there."""

import json
import re
import sys
from collections import Counter

import pytest

from tests.conftest import until
from tests.support.command import Place
from tests.support.examples import DOCS, blocks, section
from tests.support.website import running_site, says

SECTION = section(DOCS / "workflows.md", "Each night")
TASKS, PROGRAM = (code for _, code in blocks(SECTION, "python"))
BY_HAND, EVERY_NIGHT, MORNING = (code.splitlines() for _, code in blocks(SECTION, "sh"))
#: As many as show that nothing is lost on the way; the page has more.
PAGES = 100
#: The page's URL, whose place the test's site takes.
HOOK = "https://hooks.example/nightly"


@pytest.fixture(scope="module")
def site():
    """The site that is fetched, and that is told; page 7 is missing."""
    with running_site() as site:
        for number in range(PAGES):
            site.routes[f"/{number}"] = says(f"<html><title>Page {number}</title>".encode())
        site.routes["/7"] = says(b"", 404)
        site.routes["/nightly"] = says(b"", 204)
        yield site


@pytest.fixture(scope="module")
def place(tmp_path_factory, site):
    """The page's project, while `gristmill up` runs in it."""
    settings = {"TASK_MODULES": "nightly", "FETCH_HOST_RATE": "10000", "FETCH_HOST_SLOTS": "32"}
    settings |= {"FETCH_NETWORKS": "127.0.0.0/8", "NOTIFY_NETWORKS": "127.0.0.0/8"}
    settings = {f"GRISTMILL_{name}": value for name, value in settings.items()}
    place = Place(tmp_path_factory.mktemp("nightly") / "place", **settings)
    (place.cwd / "nightly.py").write_text(TASKS.replace(HOOK, site.url("/nightly")))
    (place.cwd / "urls.txt").write_text("".join(f"{site.url(f'/{number}')}\n" for number in range(PAGES)))
    with place.up("cpu", "io", cwd=place.cwd):
        yield place


def run(place, site, line):
    words = [word.strip("'") for word in re.findall(r"'[^']*'|\S+", line.replace(HOOK, site.url("/nightly")))]
    return place.run(*words[1:])


def check(place, site, name):
    """The night `name` has its batches, its table, and its notices."""
    rows = {row["name"]: row for row in place.run("batches", "--json", "--workflow", f"{name}.report").good().rows}
    counts = {part: rows[f"{name}.{part}"] for part in ("pages", "titles", "report")}
    assert [(row["state"], row["submitted"]) for row in counts.values()] == [
        ("succeeded", PAGES),
        ("failed", PAGES),
        ("succeeded", 1),
    ]
    lines = (place.cwd / "reports" / f"{name}.titles.tsv").read_text().splitlines()
    assert Counter(lines) == Counter(f"{site.url(f'/{n}')}\tPage {n}" for n in range(PAGES) if n != 7)
    info = until(lambda: delivered(place, f"{name}.report"), what="the note of the delivery")
    assert (info["notify"], info["notice"]["event"]) == (site.url(""), "succeeded")
    once = {(f"{name}.{batch}", "batch.succeeded"): 1 for batch in ("pages", "report")}
    until(lambda: len(notices(site, name)) >= 2, what="the notices")
    assert notices(site, name) == once


def check_night(place, site, name):
    """The batch `name` submits a night."""
    place.run("watch", name, "--max-wait", "60s").good()
    place.run("watch", f"{name}.report", "--max-wait", "60s").good()
    check(place, site, name)


def notices(site, name):
    messages = [json.loads(body) for _, _, body in site.posts]
    return Counter((one["data"]["name"], one["type"]) for one in messages if one["data"]["name"].startswith(name))


def delivered(place, name):
    rows = place.run("batches", "--json", "--task", "table").good().rows
    row = next(row for row in rows if row["name"] == name)
    return row if row["notice"]["state"] == "delivered" else None


def test_one_night_by_hand(place, site):
    *submits, watch = BY_HAND
    for line in submits:
        run(place, site, line).good()
    assert run(place, site, watch).code == 1
    check(place, site, "monday")
    table = place.cwd / "reports" / "monday.titles.tsv"
    lines = table.read_text().splitlines()
    table.unlink()
    for line in MORNING:
        run(place, site, line).good()
    place.run("watch", "monday.report-2", "--max-wait", "60s").good()
    assert sorted(table.read_text().splitlines()) == sorted(lines)


def test_every_night(place, site):
    make, run_now = EVERY_NIGHT
    run(place, site, make).good()
    night = run(place, site, run_now).good().out.strip()
    check_night(place, site, night)
    # As after the death of its worker, the item runs again: it submits nothing twice.
    posts = len(site.posts)
    place.run("delete", night).good()
    place.run("submit", "night", "urls.txt", "--name", night).good()
    place.run("watch", night, "--max-wait", "60s").good()
    check(place, site, night)
    assert len(site.posts) == posts


def test_every_night_in_python(place, site):
    check_night(place, site, place.process([sys.executable, "-c", PROGRAM]).good().out.strip())
