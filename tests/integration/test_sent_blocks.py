"""A producer whose blocks wait for their confirmation, on a server that has just become full."""

from queue import SimpleQueue
from threading import Event

import pytest
from redis.exceptions import OutOfMemoryError

from gristmill.batches.appends import Append
from gristmill.batches.feed import Feed
from gristmill.batches.schedules import Draft, definition
from gristmill.batches.timetable import Timetable
from gristmill.errors import ServerError
from gristmill.producer import feeder
from gristmill.producer.backpressure import Backpressure
from gristmill.producer.items.checked import ItemLot
from gristmill.server import confirm
from gristmill.server.waiting import Deadline
from tests.support.ledger import FIELDS, info


@pytest.fixture
def full(ledger):
    """Makes the server full."""
    yield lambda: ledger.client.config_set("maxmemory", 1)
    ledger.client.config_set("maxmemory", 0)


@pytest.fixture
def confirmations():
    """Grows with each confirmation that replicas were asked for."""
    return []


@pytest.fixture(params=["batch", "append", "schedule"])
def store(request, ledger, monkeypatch, confirmations):
    """Where a producer stores its blocks; replicas confirm at once."""
    monkeypatch.setattr(confirm, "confirm", lambda *_: confirmations.append(1))
    confirming = ledger.settings.model_copy(update={"confirm_replicas": 1})
    if request.param == "schedule":
        timetable = Timetable.of_every(3600, 0)
        return Draft(ledger.client, confirming, definition(timetable, "once", "skip", FIELDS), 1 << 42)
    if request.param == "append":
        append = Append(ledger.client, confirming, "append", lambda *_: "")
        append.begin("b", "token", {**FIELDS, "open": 1})
        return append
    ledger.create("b", "token", FIELDS)
    ledger.settings = confirming
    return ledger


def test_what_is_stored_needs_no_room_to_be_confirmed(store, ledger, full, monkeypatch):
    monkeypatch.setattr(feeder, "BLOCK_ITEMS", 1)

    def lots():
        yield from (ItemLot(number, [str(number)]) for number in range(3))
        full()

    others = Feed(True, 0, "", False), Backpressure(ledger.client, print, Deadline(0)), Event(), SimpleQueue()
    with feeder.Feeder(store, "b", "token", *others) as feeding:
        assert feeding.send(lots(), lambda: None, str) == 3
        if store is not ledger:
            with pytest.raises(ServerError) as told:
                feeding.end(0)
            assert isinstance(told.value.__context__, OutOfMemoryError)
        else:
            feeding.end(0)
            assert info(ledger, "b").submitted == 3
            assert "input_ended" in ledger.state("b")


def test_what_is_not_stored_is_told_from_what_is(store, confirmations):
    assert not store.has_block("b", "token", 1, "sha")
    store.append("b", "token", 0, ["0"], "sha")
    asked = len(confirmations)
    assert store.has_block("b", "token", 1, "sha")
    assert len(confirmations) == asked + 1
    assert not store.has_block("b", "token", 2, "sha")
    assert not store.has_block("b", "token", 1, "other")
    assert not store.has_block("b", "another", 1, "sha")
