"""Data that another version stored: a version that can read it takes it to its end, and one that cannot refuses it."""

import pytest
from redis import Redis

from gristmill.broker.dead_letters import DeadLetters
from gristmill.config.settings import load
from tests.conftest import until
from tests.support.stored import COUNT, restore


@pytest.fixture
def stored(place):
    """Store the data of a schema in the home's server, which ends then: no worker has seen it."""

    def stored(schema):
        with place.server_only(), Redis.from_url(place.server().url) as client:
            client.flushall()
            return restore(client, schema)

    return stored


@pytest.mark.slow
def test_what_a_version_of_this_schema_stored_comes_to_its_end(place, stored):
    """Live, paused, cancelled and ended batches, a message that nobody knows, and a dead letter."""
    stored(2)
    with place.up("cpu", "--cpu-slots", "2"):
        assert place.ended("live").succeeded == COUNT
        assert (place.info("paused").state, place.info("paused").left) == ("paused", COUNT - 3)
        place.run("resume", "paused", "--quiet").good()
        assert place.ended("paused").succeeded == COUNT
        # The worker that ran one of its chunks is gone: whoever looks settles the batch.
        cancelled = until(lambda: (info := place.info("cancelled")).finished and info, what="the cancelled batch")
        assert (cancelled.succeeded, cancelled.cancelled) == (3, COUNT - 3)
        place.run("retry", "failed", "--quiet").good()
        assert place.ended("failed").succeeded == COUNT
        assert [result.value for result in place.results("ended")] == list(range(COUNT))
        with place.ledger() as ledger:
            assert len(DeadLetters(ledger.client, load({}))) == 1
            assert ledger.client.xlen("gm1:q:later:4") == 1


def test_what_a_version_of_another_schema_stored_is_refused_by_name_and_stays_as_it_is(place, stored):
    before = stored(1)
    with place.server_only():
        for command in (
            ("submit", "fibonacci", "1"),
            ("batches",),
            ("watch", "live"),
            ("results", "live"),
            ("cancel", "live"),
            ("delete", "live"),
        ):
            place.run(*command).refused("SCHEMA 1", "GRISTMILL_PREFIX", code=3)
        with Redis.from_url(place.server().url) as client:
            assert {key.decode() for key in client.keys("gm1:batch:*")} == {
                key for key in before if key.startswith("gm1:batch:")
            }
    done = place.run("up", "cpu")
    assert done.code == 3
    assert "SCHEMA 1" in done.err
    assert "GRISTMILL_PREFIX" in done.err
