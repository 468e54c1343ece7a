"""Batches that begin at a time of their own, on a real server and with a clock that the test sets."""

import asyncio
from datetime import UTC, datetime, timedelta

import pytest

from gristmill import aio, cpu, open_batch, submit
from gristmill.batches.info import State
from gristmill.errors import InputError
from gristmill.producer.start_time import StartTime
from gristmill.producer.submission import Submission
from gristmill.producer.values import Values
from tests.support.ledger import enlist, heal, info, run_all
from tests.support.set_clock import NOON


@cpu(name="start_times.number")
def number(n: int) -> int:
    """Return it."""
    return n


class TestStart:
    def begin(self, **options):
        at = datetime.fromtimestamp(NOON / 1000, UTC) + timedelta(minutes=5)
        return submit(number, [1, 2], name="b", at=at, priority=0, **options)

    def counts(self, here):
        key = here.settings.key("queue:cpu")
        return tuple(int(value or 0) for value in here.client.hmget(key, "open", "paused"))

    def test_a_batch_begins_at_its_time(self, here, clock):
        batch = self.begin()
        enlist(here)
        assert (batch.info().state, batch.info().scheduled_at) == (State.SCHEDULED, NOON / 1000 + 300)
        assert self.counts(here) == (0, 2)
        clock.pass_by(299)
        heal(here)
        run_all(here)
        assert batch.info().left == 2
        clock.pass_by(2)
        enlist(here)
        heal(here)
        assert (batch.info().state, self.counts(here)) == (State.RUNNING, (2, 0))
        run_all(here)
        assert batch.info().state is State.SUCCEEDED
        assert here.client.zcard(here.settings.key("scheduled")) == 0

    def test_resume_begins_it_now_and_pause_holds_it(self, here, clock):
        batch = self.begin()
        assert batch.pause()
        assert batch.info().state is State.PAUSED
        clock.pass_by(400)
        assert here.names() == ["b"]
        assert batch.info().state is State.PAUSED
        assert batch.resume()
        assert batch.info().state is State.RUNNING

    def test_resume_begins_it_before_its_time(self, here, clock):
        batch = self.begin()
        assert batch.resume()
        assert (batch.info().state, batch.info().scheduled_at) == (State.RUNNING, None)

    @pytest.mark.parametrize("how", ["cancel", "delete"])
    def test_it_can_be_cancelled_and_deleted(self, here, clock, how):
        batch = self.begin()
        getattr(batch, how)()
        assert here.client.zcard(here.settings.key("scheduled")) == 0
        assert self.counts(here) == (0, 0)
        clock.pass_by(400)
        heal(here)
        if how == "cancel":
            assert (batch.info().state, batch.info().cancelled) == (State.CANCELLED, 2)

    def test_a_delay_goes_by_the_servers_clock(self, here, clock):
        submission = Submission(number, Values([1]), name="b", at=StartTime(delay=60))
        submission.send()
        assert info(here, "b").scheduled_at == NOON / 1000 + 60

    def test_the_same_command_after_its_time_changes_nothing(self, here, clock):
        self.begin()
        assert submit(number, [1, 2], name="b").info().state is State.SCHEDULED

    def test_what_is_past_is_refused(self, here, clock):
        for at in ("2020-01-01T00:00", datetime(2020, 1, 1), datetime(2999, 1, 1, tzinfo=UTC)):  # noqa: DTZ001
            with pytest.raises(InputError, match="invalid value for at"):
                submit(number, [1], name="b", at=at)
        with pytest.raises(InputError, match="invalid value for at"):
            submit(number, [1], name="b", at="02:30", append=True)
        assert here.names() == []

    def test_awaited(self, here):
        batch = asyncio.run(aio.submit(number, [1], name="b", at=datetime.now(UTC) + timedelta(hours=1)))
        assert open_batch(batch.name).info().state is State.SCHEDULED
