"""What is asked of a worker: it stands on the server, counts at once, and outlasts the worker's silence."""

import pytest

from gristmill.batches.wish import NOTHING, Wish
from gristmill.dashboard.autoscale_metrics import autoscale_metrics
from gristmill.fleet.autoscale_seat import Seat, Status, autoscale_now
from gristmill.fleet.autoscaling import Past
from gristmill.fleet.registry import WorkerRegistry
from gristmill.server.actor import actor
from gristmill.server.scripts import server_time
from tests.conftest import until
from tests.support.ledger import WORKER, heartbeat, submit

OTHER = "cpu@other/1"


@pytest.fixture
def registry(ledger):
    for worker in (WORKER, OTHER):
        ledger.heartbeat(worker, heartbeat(4), [])
    return WorkerRegistry(ledger.client, ledger.settings)


def wish(ledger, worker=WORKER, slots=4):
    return ledger.heartbeat(worker, heartbeat(slots), [])[4]


def slots(ledger):
    return int(ledger.client.hget(ledger.settings.key("slots"), "cpu"))


def in_flight(ledger, batch):
    return ledger.client.zcard(ledger.key(batch, "in_flight"))


def test_slots_of_a_drained_worker_count_no_more_from_the_request_on(ledger, registry):
    assert (wish(ledger), slots(ledger)) == (NOTHING, 8)
    registry.drain(WORKER)
    assert slots(ledger) == 4
    submit(ledger, "b", 100)
    assert in_flight(ledger, "b") == 4
    # A heartbeat that was on its way brings none back.
    assert wish(ledger) == Wish(actor(), False, None)
    assert (slots(ledger), in_flight(ledger, "b")) == (4, 4)
    registry.undrain(WORKER)
    assert wish(ledger) == NOTHING
    assert (slots(ledger), in_flight(ledger, "b")) == (8, 8)


def test_a_drain_and_a_number_of_slots_are_apart(ledger, registry):
    registry.resize(WORKER, 2)
    registry.drain(WORKER, stop=True)
    assert wish(ledger) == Wish(actor(), True, 2)
    registry.drain(WORKER)
    registry.resize(WORKER, None)
    assert wish(ledger) == Wish(actor(), False, None)
    registry.resize(WORKER, 0)
    registry.undrain(WORKER)
    assert wish(ledger) == NOTHING


def test_no_slots_is_a_drain(ledger, registry):
    registry.resize(WORKER, 0)
    assert slots(ledger) == 4
    assert wish(ledger).is_held
    registry.resize(WORKER, 3)
    assert not wish(ledger, slots=3).is_held
    assert slots(ledger) == 7


def test_it_outlasts_silence_and_ends_with_the_worker(ledger, registry):
    registry.drain(WORKER)
    ledger.client.zincrby(ledger.settings.key("workers"), -60_000, WORKER)
    ledger.heartbeat(OTHER, heartbeat(4), [])
    assert not ledger.client.hexists(ledger.settings.key("heartbeats"), WORKER), "it counts as dead"
    assert wish(ledger).drain == actor()
    assert slots(ledger) == 4
    assert ledger.client.ttl(ledger.settings.key(f"wish:{WORKER}")) in range(3595, 3601)
    registry.leave(WORKER)
    assert wish(ledger) == NOTHING


def test_one_autoscale_acts_and_another_goes_on_from_what_it_decided(ledger):
    first, second = (Seat(ledger.client, ledger.settings, name) for name in ("first", "second"))
    assert first.take() == ("", Status())
    decided = Status(at=7.0, reach="it", target=600.0, queues={"cpu": Past(slots=3, low_since=1.5)})
    assert first.take(decided) == ("", decided)
    assert second.take(Status()) == ("first", decided)
    at = server_time(ledger.client, ledger.settings.prefix)
    shown = autoscale_now(ledger.settings, at).answer(ledger.client)
    assert (shown["name"], shown["queues"]["cpu"]["slots"]) == ("first", 3)
    first.leave()
    assert autoscale_now(ledger.settings, at + 60).answer(ledger.client) is None
    assert second.take() == ("", decided)


def test_a_seat_that_nobody_renews_is_free(ledger, monkeypatch):
    monkeypatch.setattr("gristmill.fleet.autoscale_seat.SEAT_SECONDS", 0.2)
    dead, next_one = (Seat(ledger.client, ledger.settings, name) for name in ("dead", "next"))
    dead.take()
    assert next_one.take()[0] == "dead"
    until(lambda: next_one.take()[0] == "", what="the end of the seat")


@pytest.mark.parametrize("text", ["{", "[]", '{"queues": 3}', '{"at": 1, "later": 2, "queues": {"cpu": {"new": 1}}}'])
def test_what_another_version_stored_stops_nobody(text):
    assert Status.of(text).queues.get("cpu", Past()) == Past()


def test_metrics_say_what_the_one_that_acts_has_decided(ledger):
    at = server_time(ledger.client, ledger.settings.prefix)
    question = autoscale_now(ledger.settings, at)
    assert list(autoscale_metrics(question.answer(ledger.client))) == []
    past = Past(slots=3, turns=1)
    Seat(ledger.client, ledger.settings, "me").take(Status(failure="no engine", queues={"cpu": past}))
    values = {
        (sample.name, *sample.labels.values()): sample.value
        for family in autoscale_metrics(question.answer(ledger.client))
        for sample in family.samples
    }
    assert values == {
        ("gristmill_autoscale_slots", "cpu"): 3,
        ("gristmill_autoscale_turns", "cpu"): 1,
        ("gristmill_autoscale_failing",): 1,
    }
