"""A producer whose blocks wait for their confirmation, on a server that has just become full."""

from queue import SimpleQueue
from threading import Event

import pytest

from gristmill.batches.appends import Append
from gristmill.batches.feed import Feed
from gristmill.batches.schedules import Draft, definition
from gristmill.batches.timetable import Timetable
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


@pytest.fixture(params=["batch", "append", "schedule"])
def store(request, ledger, monkeypatch):
    """Where a producer stores its blocks; replicas confirm at once."""
    monkeypatch.setattr(confirm, "confirm", lambda *_: None)
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
        if store is ledger:
            feeding.end(0)
            assert info(ledger, "b").submitted == 3
            assert "input_ended" in ledger.state("b")


def test_what_is_not_stored_is_told_from_what_is(store):
    assert not store.has_block("b", "token", 1, "sha")
    store.append("b", "token", 0, ["0"], "sha")
    assert store.has_block("b", "token", 1, "sha")
    assert not store.has_block("b", "token", 2, "sha")
    assert not store.has_block("b", "token", 1, "other")
    assert not store.has_block("b", "another", 1, "sha")
