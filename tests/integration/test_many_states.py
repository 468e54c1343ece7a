"""The states of more batches than one call reads."""

import time

import pytest
from redis.exceptions import ConnectionError as NoServer

from gristmill.batches import ledger as room
from gristmill.batches.ledger import Ledger
from gristmill.server.connection import connect
from gristmill.server.waiting import Deadline, within
from tests.support.ledger import FIELDS


@pytest.fixture
def few(monkeypatch):
    """One call reads the states of two batches."""
    monkeypatch.setattr(room, "_STATES_AT_ONCE", 2)


def test_they_come_in_their_order_without_those_that_are_gone(ledger, few):
    names = [f"b{number}" for number in range(7)]
    for name in names:
        ledger.create(name, "token", FIELDS)
    ledger.delete("b3")
    assert [info.name for info in ledger.infos(names)] == [name for name in names if name != "b3"]


def test_a_server_that_is_away_is_missed_within_the_callers_deadline(server, ledger, few):
    away = Ledger(connect("redis://127.0.0.1:1/0"), ledger.settings)
    started_at = time.monotonic()
    with within(Deadline(0.5)), pytest.raises(NoServer):
        away.infos([f"b{number}" for number in range(7)])
    assert time.monotonic() - started_at < 4
