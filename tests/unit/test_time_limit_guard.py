"""The guard of a process that C code never leaves: it stands while an item runs, and not while the slot waits."""

import faulthandler

import pytest

from gristmill.worker.limits import GRACE_SECONDS, TimeLimit


@pytest.fixture
def calls(monkeypatch):
    """The calls that set the guard, as their seconds, and that end it, as None."""
    calls = []
    monkeypatch.setattr(faulthandler, "dump_traceback_later", lambda seconds, **_: calls.append(seconds))
    monkeypatch.setattr(faulthandler, "cancel_dump_traceback_later", lambda: calls.append(None))
    return calls


SECONDS = 10 + GRACE_SECONDS + 1


def test_it_is_renewed_once_a_second(calls):
    limit = TimeLimit()
    with limit.armed(10):
        for started_at in (100.0, 100.5, 100.9, 101.5, 102.0, 103.0):
            limit.begin(started_at)
            limit.end()
        assert calls == [SECONDS, SECONDS, SECONDS]
    assert calls[3:] == [None]


def test_a_rest_ends_it_until_the_next_item(calls):
    limit = TimeLimit()
    with limit.armed(10):
        limit.begin(100.0)
        limit.rest()
        limit.rest()
        limit.begin(100.1)
        assert calls == [SECONDS, None, SECONDS]


def test_a_clock_that_ran_without_a_limit_ends_where_one_begins(calls):
    """Else what comes before the first item would end by the clock of a setup."""
    limit = TimeLimit()
    with limit.armed(0):
        limit.begin(0.0)
    with limit.armed(10):
        limit._ring(0, None)
    assert calls == []


def test_without_a_limit_there_is_none(calls):
    limit = TimeLimit()
    with limit.armed(10):
        limit.begin(100.0)
    limit.begin(200.0)
    with limit.armed(0):
        limit.begin(300.0)
    limit.rest()
    assert calls == [SECONDS, None]
