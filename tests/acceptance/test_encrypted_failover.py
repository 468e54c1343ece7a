"""Three of Debian's servers and Sentinels that speak TLS only: the fleet goes on, and what WAIT confirmed is there."""

from pathlib import Path

import pytest

from benchmarks.chaos.encryption import Encryption
from benchmarks.chaos.group import ServerGroup
from tests.conftest import until
from tests.support.servers import Certificates, redis_server

#: So many of the items have ended when the primary is killed.
ITEMS, EARLY = 400, 20


@pytest.fixture
def group(tmp_path_factory):
    directory = tmp_path_factory.mktemp("group")
    files = Certificates(directory / "tls", "ours")
    encryption = Encryption(files.authority, files.certificate, files.key)
    with ServerGroup(directory, binary=Path(redis_server()), encryption=encryption) as servers:
        yield servers


@pytest.mark.slow
@pytest.mark.timeout(240)
def test_a_batch_goes_on_with_another_primary(group, place):
    """Redis 7.0 has no WAITAOF: the replicas confirm that they have a write in memory."""
    place.environ |= {"GRISTMILL_REDIS_URL": group.url, "GRISTMILL_CONFIRM_REPLICAS": "2"}
    # Flower may log the traceback of a connection that broke.
    with place.up("--cpu-slots", "1", "--io-slots", "4", in_peace=False):
        place.run("submit", "pause", *["0.05"] * ITEMS, "--name", "waits").good()
        until(lambda: _succeeded(place) >= EARLY, 60, "some items")
        node = group.kill()
        group.wait_for_another(node)
        node.start()
        done = place.run("results", "waits", "--follow").good()
        assert sorted(row["index"] for row in done.rows) == list(range(ITEMS))
        assert _succeeded(place) == ITEMS
        assert all(row["state"] == "succeeded" for row in done.rows)
        (line,) = [row for row in place.run("doctor", "--json").rows if row["check"] == "connection"]
        assert line["state"].startswith("TLS, certificate checked")


def _succeeded(place):
    (batch,) = place.run("batches", "--json").good().rows
    return batch["succeeded"]
