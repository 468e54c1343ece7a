"""Batches of which no item ends: notices tell of them, on a real server."""

import pytest

from gristmill.batches.repair import Repair
from gristmill.server.scripts import Scripts
from gristmill.worker.upkeep.notifier import Notifier
from tests.conftest import until
from tests.support.ledger import FIELDS, WORKER, enlist, heal, info, let_time_pass, outcomes, pop, run_all, submit
from tests.support.notices import ids, settings_of, told

HOUR = 3_600_000


class TestStuck:
    @pytest.fixture
    def clock(self, here, clock, monkeypatch):
        """While time passes, the worker is heard of."""
        pass_by = clock.pass_by

        def heard_of(seconds):
            pass_by(seconds)
            here.client.zadd(here.settings.key("workers"), {WORKER: clock.now})

        monkeypatch.setattr(clock, "pass_by", heard_of)
        return clock

    def told(self, notifier, site):
        notifier._looking.look()
        notifier.send_due()
        return [message["type"].removeprefix("batch.") for message in told(site)]

    def end_one(self, here):
        let_time_pass(here, "b")
        chunk = pop(here)
        work = here.take(chunk)
        here.record(chunk, outcomes(work.items[:1]), 0.1, WORKER, rest=len(work.items) - 1)

    def test_no_item_ends_for_long(self, here, clock, notifier, site, url):
        submit(here, "b", 2, notify=url, stuck_after=HOUR)
        clock.pass_by(3599)
        assert self.told(notifier, site) == []
        clock.pass_by(1)
        assert self.told(notifier, site) == ["stuck"]
        assert told(site)[0]["data"]["left"] == 2
        assert info(here, "b").notice["event"] == "stuck"
        clock.pass_by(7200)
        assert self.told(notifier, site) == ["stuck"]
        self.end_one(here)
        clock.pass_by(3540)
        assert self.told(notifier, site) == ["stuck"]
        clock.pass_by(61)
        assert self.told(notifier, site) == ["stuck", "stuck"]
        assert len({*ids(site)}) == 2
        let_time_pass(here, "b")
        run_all(here)
        assert self.told(notifier, site) == ["stuck", "stuck", "succeeded"]

    def test_a_clock_set_forward_begins_the_time_anew(self, here, clock, notifier, site, url):
        submit(here, "b", 1, notify=url, stuck_after=HOUR)
        clock.set(clock.now + 2 * HOUR)
        assert self.told(notifier, site) == []
        enlist(here)
        clock.pass_by(3599)
        assert self.told(notifier, site) == []
        clock.pass_by(1)
        assert self.told(notifier, site) == ["stuck"]

    def test_one_that_was_given_up_is_sent_again_while_the_batch_is_stuck(self, here, clock, notifier, site, url):
        submit(here, "b", 3, notify=url, stuck_after=HOUR)
        clock.pass_by(3601)
        silent = Notifier(here.client, here.client, settings_of(here, notify_networks=""))
        assert self.told(silent, site) == []
        notice, repair = info(here, "b").notice["id"], Repair(here.client, here.settings)
        assert repair.mend("b") == {"not_told": 1}
        assert repair.examine("b") == {}
        assert (self.told(notifier, site), ids(site)) == (["stuck"], [notice])
        self.end_one(here)
        clock.pass_by(3601)
        self.told(silent, site)
        assert repair.examine("b") == {"not_told": 1}
        # It moves on: nobody has to learn what was.
        self.end_one(here)
        assert repair.examine("b") == {}

    @pytest.mark.parametrize("how", ["paused", "scheduled", "waiting", "open"])
    def test_what_cannot_go_on_is_not_stuck(self, here, clock, control, notifier, site, url, how):
        fields = {"notify": url, "stuck_after": HOUR}
        submit(here, "first", 1)
        if how == "scheduled":
            fields["scheduled_at"] = clock.now + 5 * HOUR
        if how == "waiting":
            fields["after"] = "first"
        if how == "open":
            append = Scripts(here.client, here.settings.prefix, "batches")
            flat = [part for pair in {**FIELDS, **fields, "open": 1}.items() for part in pair]
            append.call("open", batch="b", token="t", producer="p", lease=1000, fields=flat)
        else:
            submit(here, "b", 1, **fields)
        if how == "paused":
            control.pause("b")
        for _ in range(180):
            clock.pass_by(60)
            assert self.told(notifier, site) == []
        if how == "paused":
            control.resume("b")
            clock.pass_by(3480)
            assert self.told(notifier, site) == []
            clock.pass_by(180)
            assert self.told(notifier, site) == ["stuck"]

    def test_one_that_its_producer_has_left_is_stuck(self, here, clock, notifier, site, url):
        enlist(here)
        here.create("b", "token", {**FIELDS, "notify": url, "stuck_after": HOUR})
        here.append("b", "token", 0, ["0"], "sha")
        run_all(here)
        clock.pass_by(3601)
        assert self.told(notifier, site) == ["stuck"]
        assert told(site)[0]["data"]["state"] == "abandoned"

    def test_many_at_once_are_all_told_by_the_workers_threads(self, here, clock, notifier, site, url):
        for number in range(120):
            submit(here, f"b{number}", 1, notify=url, stuck_after=HOUR)
        clock.pass_by(3601)
        until(lambda: notifier.step() or len(site.posts) >= 120)
        until(lambda: here.client.zcard(here.settings.key("notices")) == 0)
        assert len(site.posts) == len({*ids(site)}) == 120

    def test_after_the_end_nobody_looks(self, here, url):
        submit(here, "b", 1, notify=url, stuck_after=HOUR)
        assert here.client.zcard(here.settings.key("stalls")) == 1
        run_all(here)
        assert here.client.zcard(here.settings.key("stalls")) == 0
        heal(here)
