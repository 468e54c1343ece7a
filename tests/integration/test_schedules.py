"""Schedules on a real server, by direct calls of the scripts and with a clock that the test sets."""

import uuid

import pytest
from hypothesis import HealthCheck, given
from hypothesis import settings as hypothesis
from hypothesis import strategies as st

from gristmill import cpu, open_batch, submit
from gristmill.batches.info import State
from gristmill.batches.schedules import Schedules
from gristmill.batches.timetable import Timetable
from gristmill.errors import InputError
from gristmill.producer.batch_options import BatchOptions
from gristmill.producer.schedule import ScheduleOptions, ScheduleSubmission
from gristmill.producer.values import Values
from gristmill.worker.upkeep.scheduler import Scheduler
from tests.support.ledger import WORKER, enlist, heal, info, run_all
from tests.support.set_clock import NOON

#: 2026-03-28 12:00 UTC: the night after, the clocks of Europe change.


@cpu(name="schedules.number")
def number(n: int) -> int:
    """Return it."""
    return n


@pytest.fixture
def schedules(here):
    return Schedules(here.client, here.settings)


@pytest.fixture
def scheduler(here):
    return Scheduler(here.client, here.settings)


def make(items=(1, 2), name="s", **times):
    submission = ScheduleSubmission(
        number, Values(list(items)), name=name, options=BatchOptions.of(0), schedule=ScheduleOptions.of(**times)
    )
    submission.check()
    submission.send()
    return submission


def runs(here):
    return here.names()


def live(clock, scheduler, seconds, step=1.0):
    """A worker that looks, for so many seconds."""
    for _ in range(round(seconds / step)):
        clock.pass_by(step)
        scheduler.step()


class TestRuns:
    def test_each_is_a_batch_with_the_items(self, here, clock, schedules, scheduler):
        assert make(every="60s").is_new
        live(clock, scheduler, 59)
        assert runs(here) == []
        live(clock, scheduler, 62)
        assert runs(here) == ["s-20260328-120100"]
        batch = open_batch("s-20260328-120100")
        assert (batch.info().state, batch.info().submitted, batch.info().schedule) == (State.RUNNING, 2, "s")
        enlist(here)
        heal(here)
        run_all(here)
        assert [result.value for result in batch.results(follow=False)] == [1, 2]
        assert batch.info().state is State.SUCCEEDED
        live(clock, scheduler, 60)
        assert runs(here) == ["s-20260328-120100", "s-20260328-120300"], "the time in between had an overlap"
        state = schedules.info("s")
        assert (state.runs, state.left_out, state.last_batch) == (2, 1, "s-20260328-120300")

    def test_cron_goes_by_its_zone_over_a_change_of_the_clocks(self, here, clock, scheduler):
        make(cron="30 2 * * *", tz="Europe/Berlin", overlap="wait")
        for _ in range(3):
            # Hours in which nobody looks are an outage, which is answered by a run for its first time.
            live(clock, scheduler, 86_400, step=900)
            for name in runs(here):
                open_batch(name).cancel()
        # 02:30 is skipped on the 29th, and due at 03:00, which is 01:00 UTC.
        assert runs(here) == ["s-20260329-010000", "s-20260330-003000", "s-20260331-003000"]

    def test_items_of_many_blocks(self, here, clock, scheduler):
        make(range(20_000), every="60s")
        live(clock, scheduler, 61)
        (name,) = runs(here)
        assert [int(item) for _, item in here.items(name)] == list(range(20_000))
        assert here.state(name)["stored"] == "20000"
        assert int(here.client.hget(here.settings.key("queue:cpu"), "open")) == 20_000

    def test_workers_that_look_at_once_make_one(self, here, clock, schedules):
        make(every="60s")
        schedules.look()
        clock.pass_by(60)
        now, _, dues = schedules.look()
        assert [schedules.fire(due, now) for due in dues * 3] == ["run", "lost", "lost"]
        assert len(runs(here)) == 1

    def test_a_batch_of_that_name_is_left_alone(self, here, clock, schedules, scheduler):
        make(every="60s")
        submit(number, [7], name="s-20260328-120100")
        live(clock, scheduler, 61)
        assert here.state("s-20260328-120100")["stored"] == "1"
        assert (schedules.info("s").runs, schedules.info("s").reason) == (0, "exists")

    def test_what_a_torn_server_kept_of_a_run_is_completed(self, here, clock, schedules):
        make(every="60s")
        schedules.look()
        clock.pass_by(60)
        now, _, dues = schedules.look()
        due = here.client.hget(here.settings.key("schedule:s:state"), "next")
        assert schedules.fire(dues[0], now) == "run"
        name = "s-20260328-120100"
        here.client.hset(here.settings.key("schedule:s:state"), "next", due)
        here.client.hdel(here.key(name, "state"), "input_ended", "input_ended_by")
        here.client.hset(here.key(name, "state"), "stored", 0)
        here.client.delete(here.key(name, "in"))
        here.client.hdel(here.settings.key("schedule:s:state"), "last_batch")
        assert schedules.fire(dues[0], now) == "run"
        assert [item for _, item in here.items(name)] == ["1", "2"]
        assert info(here, name).state is State.RUNNING

    def test_one_by_hand_in_the_second_of_a_time_is_the_batch_of_that_time(self, here, clock, schedules):
        make(every="60s")
        schedules.look()
        clock.pass_by(60)
        now, _, dues = schedules.look()
        open_batch(schedules.run("s")).cancel()
        assert schedules.fire(dues[0], now) == "run"
        assert (runs(here), schedules.info("s").runs) == (["s-20260328-120100"], 1)


ACTION = st.tuples(st.sampled_from(["look", "fire", "repeat", "end"]), st.integers(0, 1))


@hypothesis(max_examples=30, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(rounds=st.lists(st.tuples(st.integers(1, 4), st.lists(ACTION, max_size=8)), max_size=8))
def test_each_time_is_run_or_left_out_once_in_whatever_order_workers_call(here, clock, schedules, rounds):
    """Two workers, each with what it saw when it looked last; answers are lost, and calls repeated."""
    name = f"s{uuid.uuid4().hex[:8]}"
    # A worker lives, so no outage of the time before belongs to this schedule.
    here.client.zadd(here.settings.key("workers"), {WORKER: clock.now})
    schedules.look()
    make(every="1s", name=name)
    first = schedules.info(name).next
    looks, last, answers = [(0, 0, []), (0, 0, [])], [None, None], []
    for seconds, actions in rounds:
        clock.pass_by(seconds)
        schedules.look()
        for action, worker in actions:
            now, _, dues = looks[worker]
            if action == "look":
                at, workers, every = schedules.look()
                # What a failed example left behind is none of this one's.
                looks[worker] = (at, workers, [due for due in every if due.name == name])
            elif action == "fire" and dues:
                last[worker] = (dues[0], now)
                answers.append(schedules.fire(*last[worker]))
            elif action == "repeat" and last[worker]:
                answers.append(schedules.fire(*last[worker]))
            elif action == "end" and schedules.info(name).last_batch:
                open_batch(schedules.info(name).last_batch).cancel()
    info = schedules.info(name)
    assert info.runs == answers.count("run") == len([batch for batch in runs(here) if batch.startswith(name)])
    assert info.left_out == answers.count("overlap")
    assert set(answers) <= {"run", "overlap", "lost"}
    assert info.runs + info.left_out == info.next - first
    schedules.delete(name)


def test_a_clock_that_is_set_back_fires_nothing_twice(here, clock, schedules, scheduler):
    make(every="60s")

    def live_with_heartbeats(seconds):
        for _ in range(seconds):
            clock.pass_by(1)
            here.heartbeat("cpu@a", {"queue": "cpu", "slots": 1}, [])
            scheduler.step()

    live_with_heartbeats(61)
    assert runs(here) == ["s-20260328-120100"]
    open_batch("s-20260328-120100").cancel()
    clock.pass_by(-3600)
    # Time goes on, at half its speed.
    live_with_heartbeats(130)
    assert runs(here) == ["s-20260328-120100", "s-20260328-120200"]
    assert schedules.info("s").left_out == 0


def test_a_host_without_a_time_zone_goes_on_with_other_schedules(here, clock, schedules, scheduler, caplog):
    make(cron="* * * * *", tz="Europe/Berlin", name="a")
    make(every="60s", name="b")
    here.client.hset(here.settings.key("schedule:a:state"), "timezone", "Mars/Olympus")
    live(clock, scheduler, 62)
    assert [name[0] for name in runs(here)] == ["b"]
    assert [record.args for record in caplog.records if "tzdata" in record.message] == [("a",)]
    here.client.hset(here.settings.key("schedule:a:state"), "timezone", "Europe/Berlin")
    live(clock, scheduler, 1)
    assert [name[0] for name in runs(here)] == ["b", "a"]


class TestOutage:
    @pytest.mark.parametrize(("missed", "number"), [("once", 1), ("skip", 0)])
    def test_it_is_answered_once(self, here, clock, schedules, scheduler, missed, number):
        make(every="10s", missed=missed, overlap="wait")
        scheduler.step()
        clock.pass_by(3600)
        scheduler.step()
        assert len(runs(here)) == number
        assert schedules.info("s").next == (NOON + 3_610_000) / 1000
        for name in runs(here):
            open_batch(name).cancel()
        live(clock, scheduler, 12)
        assert len(runs(here)) == number + 1, "and then it goes on"

    def test_each_time_of_a_shorter_gap_is_due_by_itself(self, here, clock, schedules, scheduler):
        make(every="2s", missed="skip")
        scheduler.step()
        clock.pass_by(9)
        scheduler.step()
        # The first one still runs when the others are looked at.
        assert (schedules.info("s").runs, schedules.info("s").left_out, schedules.info("s").reason) == (1, 3, "overlap")

    def test_a_full_server_is_not_made_up_for_for_long(self, here, clock, schedules):
        """Somebody looks, and nothing can be made."""
        make(every="10s", missed="once", overlap="wait")
        for _ in range(100):
            clock.pass_by(5)
            now, _, dues = schedules.look()
        assert schedules.fire(dues[0], now) == "run"
        assert schedules.info("s").next == (now + 10_000) / 1000


class TestOverlap:
    def test_skip(self, here, clock, schedules, scheduler):
        make(every="60s", overlap="skip")
        live(clock, scheduler, 200)
        assert len(runs(here)) == 1
        assert (schedules.info("s").left_out, schedules.info("s").reason) == (2, "overlap")
        open_batch(runs(here)[0]).cancel()
        live(clock, scheduler, 60)
        assert len(runs(here)) == 2

    def test_wait(self, here, clock, schedules, scheduler):
        make(every="60s", overlap="wait")
        live(clock, scheduler, 200)
        assert len(runs(here)) == 1
        open_batch(runs(here)[0]).cancel()
        live(clock, scheduler, 1)
        assert runs(here) == ["s-20260328-120100", "s-20260328-120200"], "the one that waited"
        assert schedules.info("s").next == (NOON + 240_000) / 1000, "which the times meanwhile share"

    def test_a_run_that_was_deleted_has_ended(self, here, clock, scheduler):
        make(every="60s")
        live(clock, scheduler, 61)
        open_batch(runs(here)[0]).delete()
        live(clock, scheduler, 60)
        assert runs(here) == ["s-20260328-120200"]


class TestControl:
    def test_pause_and_resume(self, here, clock, schedules, scheduler):
        make(every="60s")
        assert (schedules.pause("s"), schedules.pause("s")) == (True, False)
        live(clock, scheduler, 300)
        assert (runs(here), schedules.info("s").next, schedules.info("s").paused) == ([], None, True)
        assert (schedules.resume("s"), schedules.resume("s")) == (True, False)
        live(clock, scheduler, 61)
        assert runs(here) == ["s-20260328-120600"]

    def test_run_now(self, here, clock, schedules):
        make(every="1h")
        clock.pass_by(5)
        assert schedules.run("s") == "s-20260328-120005"
        assert open_batch("s-20260328-120005").info().submitted == 2
        assert schedules.info("s").next == (NOON + 3_600_000) / 1000

    def test_delete(self, here, clock, schedules, scheduler):
        make(every="60s")
        live(clock, scheduler, 61)
        schedules.delete("s")
        live(clock, scheduler, 61)
        assert (len(runs(here)), schedules.infos()) == (1, [])
        assert here.client.keys(here.settings.key("schedule:*")) == []
        for call in (schedules.delete, schedules.pause, schedules.resume, schedules.run, schedules.info):
            with pytest.raises(InputError, match="no schedule is called 's'"):
                call("s")

    def test_the_same_again_is_nothing_new_and_another_is_refused(self, here, clock, schedules):
        assert make(every="60s").is_new
        clock.pass_by(7)
        assert not make(every="60s").is_new
        assert schedules.info("s").next == (NOON + 60_000) / 1000
        for other in ({"items": [1, 3]}, {"every": "61s"}, {"missed": "skip"}):
            with pytest.raises(InputError, match="schedule delete s"):
                make(**{"every": "60s", **other})
        assert here.client.keys(here.settings.key("draft:*")) == []

    def test_names_have_room_for_the_time(self, here):
        with pytest.raises(InputError, match="invalid value for name"):
            make(name="s" * 49, every="60s")

    def test_what_is_listed(self, here, clock, schedules):
        make(cron="0 2 * * *", tz="Europe/Berlin", name="nightly")
        make(every="90s", name="often")
        first, second = (one.as_dict() for one in schedules.infos())
        assert (first["name"], first["timetable"], first["timezone"]) == ("nightly", "0 2 * * *", "Europe/Berlin")
        assert (first["next"], first["items"], first["task"]) == ("2026-03-29T01:00:00+00:00", 2, "schedules.number")
        assert (second["timetable"], second["next"]) == ("every 90s", "2026-03-28T12:01:30+00:00")


def test_a_schedule_without_a_time_to_come_rests(here, clock, schedules):
    make(every="60s")
    schedules.look()
    clock.pass_by(60)
    now, _, (due,) = schedules.look()
    never = due._replace(timetable=Never())
    assert schedules.fire(never, now) == "run"
    assert (schedules.look()[2], schedules.info("s").next) == ([], None)


class Never(Timetable):
    def next_after(self, after):
        return None
