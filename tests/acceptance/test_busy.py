"""What runs now, on a real fleet: which item, since when, how far; one of them ended, and its neighbours not."""

import json

from tests.conftest import until


def busy(fleet, *words):
    """The lines of `busy --json`."""
    return [json.loads(line) for line in fleet.run("busy", *words, "--json").good().out.splitlines()]


def test_an_item_that_runs_is_listed_with_its_progress_and_can_be_ended(fleet, name):
    fleet.run("submit", "dawdle", "600", "500", "--name", name).good()

    def both():
        rows = busy(fleet, name)
        return len(rows) == 2 and all(row["progress"] for row in rows) and rows

    rows = until(both, what="two items that have run for a second")
    assert [row["seconds"] for row in rows] == sorted((row["seconds"] for row in rows), reverse=True)
    by_index = {row["index"]: row for row in rows}
    assert {index: row["input"] for index, row in by_index.items()} == {0: 600, 1: 500}
    assert by_index[0]["progress"]["total"] == 600
    assert by_index[0]["worker"].startswith("cpu@")
    assert by_index[0]["pid"] != by_index[1]["pid"]
    text = fleet.run("busy", name).good().out
    assert text.splitlines()[0].split()[:2] == ["batch", "item"]
    watched = fleet.run("watch", name, "--json", "--max-wait", "1s")
    assert watched.code == 124
    assert {row["index"] for row in json.loads(watched.out.splitlines()[0])["busy"]} == {0, 1}

    said = fleet.run("cancel", name, "--item", "0").good().err
    assert "cancelled" in said
    rows = until(lambda: len(found := busy(fleet, name)) == 1 and found, what="the end of the item")
    assert (rows[0]["index"], rows[0]["pid"], rows[0]["attempt"]) == (1, by_index[1]["pid"], 1), "it goes on"
    assert fleet.info(name).cancelled == 1

    fleet.run("cancel", name, "--item", "1").good()
    assert fleet.ended(name).state == "cancelled"
    until(lambda: not busy(fleet, name), what="idle slots")
    # The slots are free.
    fleet.run("run", "dawdle", "0", "0", "--max-wait", "60s").good()

    fleet.run("retry", name, "--item", "1").good()
    until(lambda: [row["index"] for row in busy(fleet, name)] == [1], what="the item's run")
    fleet.run("cancel", name, "--kill").good()


def test_a_thread_goes_on_and_its_outcome_does_not_count(fleet, name):
    fleet.run("submit", "idle", "6", "--name", name).good()
    until(lambda: busy(fleet, name), what="an item that has run for a second")
    fleet.run("cancel", name, "--item", "0").good()
    assert fleet.ended(name).cancelled == 1
    assert until(lambda: fleet.info(name).duplicates, what="the outcome of the thread") == 1
    fleet.run("retry", name, "--item", "0").good()
    assert fleet.ended(name).state == "succeeded"


def test_what_cannot_be(fleet, name):
    fleet.run("submit", "idle", "0", "--name", name).good()
    fleet.ended(name)
    fleet.run("cancel", name, "--item", "1").refused("invalid value for item: 1")
    assert "had ended before" in fleet.run("cancel", name, "--item", "0").good().err
    assert "has not failed" in fleet.run("retry", name, "--item", "0").good().err
    assert "no item has run" in fleet.run("busy", name).good().err
