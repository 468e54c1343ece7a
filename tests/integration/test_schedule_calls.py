"""Schedules in Python: made, run, paused and deleted by a program, on a real server."""

import asyncio
import logging

import pytest

import gristmill
from gristmill import aio, cpu, open_schedule, schedule, schedules, submit
from gristmill.errors import InputError
from gristmill.worker.upkeep.scheduler import Scheduler
from tests.support.ledger import enlist, info, run_all


@cpu(name="schedule_calls.number")
def number(n: int, factor: int = 1) -> int:
    """Return it."""
    return n * factor


@pytest.fixture
def scheduler(here):
    return Scheduler(here.client, here.settings)


def test_each_time_makes_a_batch_of_the_items_with_the_options(here, clock, scheduler):
    made = schedule(number, [1, 2], name="s", every="10s", set={"factor": 3}, retries=2, labels={"team": "maps"})
    assert (made.info().items, made.info().timetable, made.info().last_batch) == (2, "every 10s", None)
    clock.pass_by(11)
    scheduler.step()
    run = info(here, made.info().last_batch)
    assert (run.schedule, run.retries, run.labels) == ("s", 2, {"team": "maps"})
    assert here.state(run.name)["fixed"] == '{"factor": 3}'
    assert schedules() == [made.info()]


def test_cron_goes_by_its_zone(here, clock):
    made = schedule(number, [1], name="s", cron="30 2 * * *", tz="Asia/Tokyo", missed="skip", overlap="wait")
    about = made.info().as_dict()
    assert (about["timezone"], about["missed"], about["overlap"]) == ("Asia/Tokyo", "skip", "wait")
    assert about["next"] == "2026-03-28T17:30:00+00:00"


def test_it_is_run_paused_resumed_and_deleted(here, clock):
    schedule(number, [5], name="s", every=60, priority=0)
    found = open_schedule("s")
    enlist(here)
    batch = found.run()
    run_all(here)
    assert (batch.name, batch.info().state) == (found.info().last_batch, "succeeded")
    assert (found.pause(), found.pause(), found.info().next) == (True, False, None)
    assert (found.resume(), found.resume()) == (True, False)
    found.delete()
    assert schedules() == []
    assert batch.info().submitted == 1
    for call in (found.info, found.run, found.pause, found.resume, found.delete, lambda: open_schedule("s")):
        with pytest.raises(InputError, match="'s'"):
            call()


def test_the_same_again_changes_nothing_and_another_is_refused(here, clock):
    first = schedule(number, [1], name="s", every=60).info()
    clock.pass_by(5)
    assert schedule(number, [1], name="s", every=60).info() == first
    with pytest.raises(InputError, match="'s'"):
        schedule(number, [2], name="s", every=60)


def test_a_task_with_a_default_for_each_parameter_needs_no_items(here, clock):
    assert schedule(number, name="s", every=60, set={"n": 1}).info().items == 1


@pytest.mark.parametrize(
    ("options", "name"),
    [
        ({}, "cron"),
        ({"cron": "* * * * *", "every": 5}, "cron"),
        ({"cron": "nonsense"}, "cron"),
        ({"every": "0s"}, "every"),
        ({"every": 60, "tz": "UTC"}, "tz"),
        ({"cron": "* * * * *", "tz": "Mars"}, "tz"),
        ({"every": 60, "missed": "twice"}, "missed"),
        ({"every": 60, "overlap": "no"}, "overlap"),
        ({"every": 60, "priority": 10}, "priority"),
        ({"every": 60, "after": "a"}, "after"),
        ({"every": 60, "max_wait": "soon"}, "max_wait"),
        ({"every": 60, "set": 5}, "set"),
        ({"every": 60, "name": "n" * 49}, "name"),
    ],
)
def test_what_is_refused_names_the_option_and_stores_nothing(here, options, name):
    with pytest.raises(InputError, match=name):
        schedule(number, [1], **{"name": "s", **options})
    assert schedules() == []


def test_no_schedule_follows_a_batch_and_no_append_does(here, clock):
    batch = submit(number, [1], name="a")
    for call, name in (
        (lambda: schedule(number, batch, name="s", every=60), "from_batch"),
        (lambda: schedule(number, [1], name="s", every=60, after="a"), "after"),
        (lambda: submit(number, batch, name="o", append=True), "from_batch"),
        (lambda: submit(number, [1], name="o", append=True, after="a"), "after"),
    ):
        with pytest.raises(InputError, match=name):
            call()
    assert (schedules(), here.names()) == ([], ["a"])


def test_it_warns_that_no_worker_listens(here, clock, caplog):
    with caplog.at_level(logging.WARNING):
        schedule(number, [1], name="s", every=60)
    assert [record.name for record in caplog.records] == ["gristmill.producer.schedules"]


def test_the_same_awaited(here, clock):
    async def steps():
        made = await aio.schedule(number, [1], name="s", every="1m", priority=2)
        assert (await made.info()) == (await aio.schedules())[0] == (await (await aio.open_schedule("s")).info())
        batch = await made.run()
        assert isinstance(batch, aio.Batch)
        assert (await batch.info()).schedule == "s"
        assert (await made.pause(), await made.resume()) == (True, True)
        await made.delete()
        assert await aio.schedules() == []

    asyncio.run(steps())


def test_the_awaited_class_has_all_methods():
    assert {name for name in dir(gristmill.Schedule) if name[0] != "_"} <= set(dir(aio.Schedule))
