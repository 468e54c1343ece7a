"""Batches whose producer is gone before the end of their input, on a real server."""

import pytest

from gristmill.batches.appends import Append
from gristmill.batches.control import Control
from gristmill.batches.feed import PRODUCER_LEASE, AlreadyFeeding
from gristmill.batches.info import GONE_MS, State
from gristmill.batches.ledger import Ledger
from gristmill.cli.output.progress import describe
from gristmill.dashboard.warnings import BATCHES_MOST, advise_on_abandoned
from gristmill.fleet.overview import Observer
from gristmill.server.scripts import server_time
from tests.support.ledger import FIELDS, enlist


@pytest.fixture
def batch(ledger):
    """A batch of 3 items so far, whose producer has just sent them."""
    enlist(ledger)
    ledger.create("b", "one", FIELDS)
    ledger.append("b", "one", 0, ["0", "1", "2"], "sha3")
    return "b"


def now_ms(ledger):
    return round(1000 * server_time(ledger.client, ledger.settings.prefix))


def silence(ledger, milliseconds, name="b"):
    """Let the producer's lease have ended so long ago."""
    ledger.client.hset(ledger.key(name, "state"), "producer_until", now_ms(ledger) - milliseconds)


def look(ledger):
    return ledger.infos(["b"])[0]


def test_it_is_abandoned_once_its_producer_has_been_silent_for_long(ledger, batch):
    assert (look(ledger).state, look(ledger).abandoned_at) == (State.SUBMITTING, None)
    silence(ledger, GONE_MS - 5000)
    assert look(ledger).state is State.SUBMITTING
    silence(ledger, GONE_MS + 1000)
    info = look(ledger)
    assert info.state is State.ABANDONED
    assert info.abandoned_at == pytest.approx(now_ms(ledger) / 1000 - GONE_MS / 1000 - 1, abs=5)
    assert info.as_dict()["abandoned_at"] == info.as_dict()["abandoned_at"][:19] + "+00:00"
    assert "abandoned at item 3 since" in describe(info, 1.0)


def test_it_is_although_all_workers_have_died_without_a_word(ledger, batch):
    silence(ledger, GONE_MS + 1000)
    ledger.client.zadd(ledger.settings.key("workers"), {"dead": now_ms(ledger) - 60_000})
    assert look(ledger).state is State.ABANDONED


def test_a_sign_of_life_or_another_producer_ends_that(ledger, batch):
    silence(ledger, 60_000)
    ledger.producer_heartbeat("b", "one")
    assert look(ledger).state is State.SUBMITTING
    silence(ledger, 60_000)
    assert ledger.create("b", "two", FIELDS).stored == 3
    assert look(ledger).state is State.SUBMITTING
    ledger.end("b", "two", 0)
    assert (look(ledger).state, look(ledger).abandoned_at) == (State.RUNNING, None)


def test_a_clock_set_forward_leaves_the_batch_to_its_producer(here, clock):
    enlist(here)
    here.create("b", "one", FIELDS)
    clock.pass_by(3600)
    # The next heartbeat notes the gap.
    enlist(here)
    assert look(here).state is State.SUBMITTING
    with pytest.raises(AlreadyFeeding):
        here.create("b", "two", FIELDS)
    clock.pass_by(PRODUCER_LEASE / 1000)
    assert here.create("b", "two", FIELDS).stored == 0
    clock.pass_by((PRODUCER_LEASE + GONE_MS) / 1000 + 1)
    assert look(here).state is State.ABANDONED


def test_a_paused_batch_says_so_too_and_a_cancelled_one_does_not(ledger, batch):
    control = Control(ledger.client, ledger.settings)
    silence(ledger, 60_000)
    control.pause("b")
    assert look(ledger).state is State.PAUSED
    assert look(ledger).abandoned_at is not None
    control.cancel("b", "by me")
    assert (look(ledger).state, look(ledger).abandoned_at) == (State.CANCELLED, None)


def test_the_dashboard_warns_of_it_and_does_not_call_its_producer_a_bottleneck(ledger, batch):
    observer = Observer(ledger.client, ledger.settings)
    assert [queue.submitting for queue in observer.look().queues if queue.name == "cpu"] == [True]
    silence(ledger, 60_000)
    overview = observer.look()
    assert not any(queue.submitting for queue in overview.queues)
    (advice,) = advise_on_abandoned(overview.batches)
    assert (advice.queue, advice.level) == ("cpu", "warning")
    assert look(ledger).abandonment() in advice.text


def test_the_warnings_name_a_few_batches_and_count_the_others(ledger, batch):
    silence(ledger, 60_000)
    advice = advise_on_abandoned([look(ledger)] * (BATCHES_MOST + 2))
    assert len(advice) == BATCHES_MOST + 1
    assert (advice[-1].text[0], advice[-1].command) == ("2", "gristmill batches")


@pytest.fixture
def vanishing(monkeypatch):
    """Every batch is gone when somebody reads its state: a server took over that lacks it."""
    read = Ledger.state

    def state(ledger, batch):
        ledger.client.unlink(ledger.key(batch, "state"))
        return read(ledger, batch)

    monkeypatch.setattr(Ledger, "state", state)


@pytest.mark.parametrize("fields", [FIELDS, {**FIELDS, "task": "other"}])
def test_a_producer_whose_batch_is_gone_as_it_begins_is_told(ledger, batch, vanishing, fields):
    """It got a KeyError, in a failover without confirmation."""
    with pytest.raises(AlreadyFeeding, match="another server did"):
        ledger.create("b", "one", fields)


def test_so_is_one_that_appends(ledger, batch, vanishing):
    append = Append(ledger.client, ledger.settings, "append", lambda item, _: item)
    with pytest.raises(AlreadyFeeding, match="was deleted"):
        append.begin("b", "two", {**FIELDS, "task": "other", "open": 1})
