"""Batches that grow, and batches that begin later, by commands on a running fleet; schedules on the dashboard."""

import json

import pytest

from benchmarks.schedule import AWAY_SECONDS, measure
from tests.conftest import until


def rows(done):
    return [json.loads(line) for line in done.good().out.splitlines()]


@pytest.fixture
def schedule(fleet, name):
    """The name of a schedule that the test makes; it is deleted."""
    yield name
    fleet.run("schedule", "delete", name)


class TestAppend:
    def test_a_batch_grows_until_it_is_closed(self, fleet, name):
        first = fleet.run("submit", "pair", "1", "2", "--name", name, "--append", "--dedupe-by", "left").good()
        assert "added 2" in first.err
        again = fleet.run("submit", "pair", "2", "3", "2", "--name", name, "--append").good()
        assert "added 1, 2 were there already" in again.err
        assert again.out.strip() == name
        until(lambda: fleet.info(name).left == 0)
        assert str(fleet.info(name).state) == "open"
        assert [row["state"] for row in rows(fleet.run("batches", "--json")) if row["name"] == name] == ["open"]
        with fleet.start("watch", name, "--max-wait", "60") as watching:
            fleet.run("close", name).good()
            assert watching.end().code == 0
        assert str(fleet.ended(name).state) == "succeeded"
        assert sorted(row["value"] for row in rows(fleet.run("results", name, "--json"))) == [2, 4, 6]
        assert "closed already" in fleet.run("close", name).good().err
        refused = fleet.run("submit", "pair", "4", "--name", name, "--append")
        assert (refused.code, "is closed" in refused.err) == (2, True)

    def test_it_closes_by_itself(self, fleet, name):
        fleet.run("submit", "pair", "1", "--name", name, "--append", "--close-after", "1s").good()
        assert fleet.ended(name).succeeded == 1

    def test_what_does_not_go_together(self, unchanged):
        options = (
            ("--append",),
            ("--dedupe-by", "left", "--name", "x"),
            ("--token", "x", "--name", "x"),
            ("--cron", "0 2 * * *"),
            ("--cron", "0 2 * * *", "--every", "1h", "--name", "x"),
            ("--at", "02:30", "--append", "--name", "x"),
            ("--missed", "skip", "--at", "02:30"),
            ("--tz", "UTC", "--every", "1h", "--name", "x"),
            ("--every", "1h", "--name", "x", "--follow"),
            ("--cron", "soon", "--name", "x"),
            ("--at", "2020-01-01T00:00"),
        )
        unchanged.refused([(("submit", "pair", "1", *words), "") for words in options])
        assert rows(unchanged.run("schedule", "list", "--json")) == []


class TestLabels:
    def test_lists_are_filtered(self, fleet, name):
        fleet.run("submit", "pair", "1", "--name", name, "--label", f"run={name}", "--label", "team=maps").good()
        fleet.ended(name)

        def names(*words):
            return [row["name"] for row in rows(fleet.run("batches", "--json", *words))]

        label = ("--label", f"run={name}")
        assert (
            names(*label) == names(*label, "--label", "team=maps", "--task", "pair", "--state", "succeeded") == [name]
        )
        for other in (("--label", "team=roads"), ("--task", "odd"), ("--state", "failed,running")):
            assert names(*label, *other) == []
        (row,) = rows(fleet.run("batches", "--json", *label))
        assert row["labels"] == {"run": name, "team": "maps"}
        assert fleet.run("batches", "--state", "gone").code == 2


class TestLater:
    def test_a_batch_begins_after_its_delay(self, fleet, name):
        done = fleet.run("submit", "pair", "1", "--name", name, "--in", "2s").good()
        assert "begin at" in done.err
        assert fleet.ended(name).succeeded == 1

    def test_one_that_is_scheduled_begins_when_it_is_resumed(self, fleet, name):
        fleet.run("submit", "pair", "1", "--name", name, "--at", "2030-01-01T00:00", "--tz", "Asia/Tokyo").good()
        (row,) = [row for row in rows(fleet.run("batches", "--json")) if row["name"] == name]
        assert (row["state"], row["scheduled_at"]) == ("scheduled", "2029-12-31T15:00:00+00:00")
        fleet.run("resume", name).good()
        assert fleet.ended(name).succeeded == 1


class TestSchedule:
    def test_it_makes_batches(self, fleet, schedule):
        made = fleet.run("submit", "pair", "1", "2", "--name", schedule, "--every", "1s").good()
        assert (made.out.strip(), "makes a batch at" in made.err) == (schedule, True)
        assert "nothing new" in fleet.run("submit", "pair", "1", "2", "--name", schedule, "--every", "1s").good().err
        assert fleet.run("submit", "pair", "1", "--name", schedule, "--every", "1s").code == 2

        def listed():
            (row,) = rows(fleet.run("schedule", "list", "--json"))
            return row if row["runs"] >= 2 else None

        row = until(listed)
        assert (row["name"], row["timetable"], row["items"], row["task"]) == (schedule, "every 1s", 2, "pair")
        info = fleet.ended(row["last_batch"])
        assert (info.succeeded, info.schedule) == (2, schedule)
        fleet.run("schedule", "pause", schedule).good()
        assert schedule in fleet.run("schedule", "list").good().out
        batch = fleet.run("schedule", "run", schedule).good().out.strip()
        assert fleet.ended(batch).succeeded == 2
        fleet.run("schedule", "resume", schedule).good()
        fleet.run("schedule", "delete", schedule).good()
        assert rows(fleet.run("schedule", "list", "--json")) == []
        assert fleet.run("schedule", "run", schedule).code == 2

    def test_the_dashboard_lists_and_runs_it(self, page, fleet, address, schedule):
        fleet.run("submit", "pair", "1", "--name", schedule, "--cron", "0 0 1 1 *", "--tz", "Europe/Berlin").good()
        row = f"document.querySelector('tr[data-schedule=\"{schedule}\"]')"
        page.open(f"{address}/batches")
        page.until(row)
        text = page.run(f"{row}.textContent")
        assert "0 0 1 1 *" in text
        assert "Europe/Berlin" in text
        page.run(f"{row}.querySelectorAll('button')[1].click()")
        page.until(f"{row} && {row}.textContent.includes('paused')")
        page.run(f"{row}.querySelectorAll('button')[0].click()")
        page.until(f"{row} && {row}.querySelector('td a')")
        (info,) = rows(fleet.run("schedule", "list", "--json"))
        assert (info["paused"], info["runs"], info["next"]) == (True, 1, None)
        assert fleet.ended(info["last_batch"]).succeeded == 1


@pytest.mark.slow
def test_a_schedule_of_each_second_under_faults(tmp_path):
    """The ten-minute form: `python -m benchmarks.schedule`."""
    count = measure(tmp_path, seconds=40, every=6, outage=2 * AWAY_SECONDS, seed=1)
    assert count.kills > 2
    assert count.runs > 20
    assert count.faults == [], count
