"""The infos of many batches: each is read again when its batch has changed, however it did, and only then."""

import time

import pytest

from gristmill.batches.control import Control
from gristmill.batches.info import State
from gristmill.batches.info_cache import InfoCache
from gristmill.batches.ledger import Ledger
from gristmill.config.settings import load
from gristmill.server.connection import connect
from tests.conftest import until
from tests.support.ledger import FIELDS, run_all, submit
from tests.support.roles import roles

NAMES = [f"b-{number}" for number in range(6)]


@pytest.fixture
def cache(server, ledger):
    """A cache with a client of its own, whose batches stand."""
    for name in NAMES:
        submit(ledger, name, 3)
    with connect(server.url) as client:
        yield InfoCache(client, ledger.settings)


def counts(infos):
    return {info.name: (info.state, info.succeeded) for info in infos}


def reads(cache):
    """How many batches a look reads."""
    seen = []
    original = Ledger.infos

    def infos(ledger, names):
        seen.extend(names)
        return original(ledger, names)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Ledger, "infos", infos)
        answer = cache.infos(NAMES)
    assert answer == Ledger(cache._tracking.client, cache._settings).infos(NAMES)
    return seen


def test_a_look_reads_what_has_changed(cache, ledger):
    assert reads(cache) == NAMES
    assert reads(cache) == []
    Control(ledger.client, ledger.settings).pause("b-2")
    ledger.client.hset(ledger.key("b-4", "state"), "reason", "x")
    assert reads(cache) == ["b-2", "b-4"]
    assert reads(cache) == []
    Control(ledger.client, ledger.settings).resume("b-2")
    run_all(ledger)
    assert set(reads(cache)) == set(NAMES)
    assert counts(cache.infos(NAMES))["b-5"] == (State.SUCCEEDED, 3)


def test_what_is_gone_is_gone(cache, ledger):
    assert len(cache.infos(NAMES)) == 6
    ledger.delete("b-1")
    ledger.client.pexpire(ledger.key("b-3", "state"), 1)
    until(lambda: [info.name for info in cache.infos(NAMES)] == ["b-0", "b-2", "b-4", "b-5"])
    assert cache.infos(["b-5", "none", "b-0"])[0].name == "b-5"
    assert cache.tasks() == {"fibonacci"}


def test_a_connection_that_breaks_makes_it_read_all(cache, ledger):
    cache.infos(NAMES)
    session = cache._session
    ledger.client.client_kill_filter(_id=cache._tracking.client.client_id())
    run_all(ledger)
    assert reads(cache) == NAMES
    assert cache._session is not session
    assert reads(cache) == []


def test_a_connection_that_breaks_within_a_look_makes_it_look_again(cache, ledger, monkeypatch):
    cache.infos(NAMES)
    submit(ledger, "new", 1)
    original, calls = Ledger.infos, []

    def infos(one, names):
        if not calls:
            # The server forgets whom it has to tell, and then the batches change.
            ledger.client.client_kill_filter(_id=one.client.client_id())
            run_all(ledger)
        calls.append(list(names))
        return original(one, names)

    monkeypatch.setattr(Ledger, "infos", infos)
    seen = counts(cache.infos([*NAMES, "new"]))
    assert calls == [["new"], [*NAMES, "new"]]
    assert {count for _, count in seen.values()} == {3, 1}


def test_all_may_have_changed(cache, ledger):
    cache.infos(NAMES)
    # As a server says it that was flushed.
    cache._tracking._note(["invalidate", None])
    assert reads(cache) == NAMES


def test_time_alone_makes_an_abandoned_batch(cache, ledger):
    ledger.create("fed", "token", FIELDS)
    (info,) = cache.infos(["fed"])
    assert info.state is State.SUBMITTING
    ledger.client.hset(ledger.key("fed", "state"), "producer_until", int(1000 * time.time()) - 9_900)
    until(lambda: cache.infos(["fed"])[0].state is State.ABANDONED)


def test_a_user_whom_the_server_tells_nothing_reads_all(tmp_path):
    with roles(tmp_path) as served:
        ledger = Ledger(served.admin, load({}))
        submit(ledger, "b", 3)
        served.admin.execute_command("ACL", "SETUSER", "viewer", "-client|tracking")
        cache = InfoCache(served.client("viewer"), load({}))
        assert counts(cache.infos(["b"])) == {"b": (State.RUNNING, 0)}
        run_all(ledger)
        assert counts(cache.infos(["b"])) == {"b": (State.SUCCEEDED, 3)}


@pytest.mark.parametrize("role", ["producer", "dashboard", "viewer", "admin"])
def test_the_server_tells_those_who_look(tmp_path, role):
    with roles(tmp_path) as served:
        ledger = Ledger(served.admin, load({}))
        submit(ledger, "b", 3)
        cache = InfoCache(served.client(role), load({}))
        cache.infos(["b"])
        assert cache._session is not None
        assert served.denied() == []
