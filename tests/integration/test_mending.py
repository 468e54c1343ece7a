"""A worker mends live batches when the server is another process than before; one worker, once."""

import pytest
from redis import Redis
from redis.exceptions import NoPermissionError

from gristmill.batches.repair import Repair
from gristmill.worker.upkeep.mending import Mender
from tests.support.ledger import submit


@pytest.fixture
def mender(ledger):
    return Mender(ledger.client, ledger.settings)


@pytest.fixture
def torn(ledger):
    """A batch with a mark that has no outcome."""
    submit(ledger, "torn", 5)
    ledger.client.setbit(ledger.key("torn", "done"), 3, 1)
    return Repair(ledger.client, ledger.settings)


def steps(mender):
    for _ in range(20):
        mender.step()


def test_it_mends_what_a_restart_left(ledger, mender, torn):
    assert torn.examine("torn")
    steps(mender)
    assert not torn.examine("torn")
    assert ledger.client.get(ledger.settings.key("mended")) == ledger.client.info("server")["run_id"]
    assert not ledger.client.exists(ledger.settings.key("mending"))


def test_it_mends_the_counts_of_queues_with_names_of_their_own(ledger, mender):
    submit(ledger, "far", 5, queue="gpu")
    ledger.client.hincrby(ledger.settings.key("queue:gpu"), "open", 2)
    ledger.client.hincrby(ledger.settings.key("slots"), "mail", 3)
    steps(mender)
    assert ledger.client.hget(ledger.settings.key("queue:gpu"), "open") == "5"
    assert ledger.client.hget(ledger.settings.key("slots"), "mail") == "0"


def test_it_mends_once_for_a_server(ledger, mender, torn):
    steps(mender)
    ledger.client.setbit(ledger.key("torn", "done"), 4, 1)
    steps(mender)
    steps(Mender(ledger.client, ledger.settings))
    assert torn.examine("torn")
    ledger.client.set(ledger.settings.key("mended"), "another")
    steps(Mender(ledger.client, ledger.settings))
    assert not torn.examine("torn")


def test_over_the_same_connection_it_asks_once(ledger, mender):
    def questions():
        return ledger.client.info("commandstats").get("cmdstat_info", {}).get("calls", 0)

    steps(mender)
    before = questions()
    steps(mender)
    # That of `questions` itself.
    assert questions() == before + 1
    ledger.client.connection_pool.disconnect()
    steps(mender)
    assert questions() == before + 3


def test_another_worker_does_it(ledger, mender, torn):
    ledger.client.set(ledger.settings.key("mending"), "its claim")
    steps(mender)
    assert torn.examine("torn")
    ledger.client.delete(ledger.settings.key("mending"))
    steps(mender)
    assert not torn.examine("torn")


def test_without_the_right_to_see_a_restart_it_says_so_once(ledger, mender, torn, monkeypatch, caplog):
    def refuse(*_):
        raise NoPermissionError("no INFO")

    monkeypatch.setattr(Redis, "info", refuse)
    steps(mender)
    assert torn.examine("torn")
    assert sum("doctor --repair" in record.getMessage() for record in caplog.records) == 1
