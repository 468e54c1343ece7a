"""`gristmill doctor` on servers that are set up in ways that lose work: each line says what to do."""

import pytest

from gristmill.cli import doctor
from gristmill.cli.findings import server as server_findings
from gristmill.config.settings import settings
from gristmill.server.connection import connect
from tests.support.servers import redis_server, running


def findings(place, url):
    """What doctor finds and advises, by check."""
    done = place.run("doctor", "--json", GRISTMILL_REDIS_URL=url)
    assert "Traceback" not in done.err, done
    return done.code, {row["check"]: (row["state"], row["advice"]) for row in done.rows}


@pytest.fixture
def looked_at(redis, monkeypatch):
    """What doctor finds and advises of the server, without a process of its own."""
    monkeypatch.setenv("GRISTMILL_REDIS_URL", redis.url)
    settings.cache_clear()
    yield lambda: {finding.check: (finding.state, finding.advice) for finding in doctor._server(connect(redis.url))}
    settings.cache_clear()


@pytest.fixture(scope="module")
def redis(tmp_path_factory):
    """A server as it should be."""
    directory = tmp_path_factory.mktemp("redis")
    with running(redis_server(), directory, maxmemory=100 << 20, maxmemory_policy="noeviction") as server:
        yield server


def test_a_server_as_it_should_be(place, redis):
    code, found = findings(place, redis.url)
    assert code == 1, "no worker listens"
    advised = {check for check, (_, advice) in found.items() if advice != "OK"}
    assert advised == {"queue cpu", "queue io"}
    assert found["persistence"] == ("AOF, appendfsync always", "OK")
    assert found["eviction"] == ("noeviction", "OK")
    assert found["topology"] == ("one server", "OK")
    assert found["server"][0].startswith(f"redis 7.0.15 at redis://127.0.0.1:{redis.port}/3")


@pytest.mark.parametrize(
    ("option", "value", "check", "found", "advice"),
    [
        ("maxmemory-policy", "allkeys-lru", "eviction", "allkeys-lru", "set maxmemory-policy noeviction"),
        ("maxmemory-policy", "volatile-ttl", "eviction", "volatile-ttl", "set maxmemory-policy noeviction"),
        ("appendfsync", "everysec", "persistence", "AOF, appendfsync everysec", "may lose about 2 s"),
        ("appendfsync", "no", "persistence", "AOF, appendfsync no", "set appendfsync always"),
        ("appendonly", "no", "persistence", "no AOF", "set appendonly yes"),
        ("maxmemory", "0", "memory", "no limit", "set maxmemory"),
        ("maxmemory", "used", "memory", "MiB used", "nearly full"),
    ],
)
def test_what_is_not(looked_at, redis, option, value, check, found, advice):
    with connect(redis.url) as client:
        before = client.config_get(option)[option]
        client.config_set(option, client.info("memory")["used_memory"] if value == "used" else value)
        try:
            lines = looked_at()
        finally:
            client.config_set(option, before)
    assert found in lines[check][0]
    assert advice in lines[check][1]


def test_snapshots_only(looked_at, redis):
    with connect(redis.url) as client:
        client.config_set("appendonly", "no")
        client.config_set("save", "3600 1")
        try:
            lines = looked_at()
        finally:
            client.config_set("save", "")
            client.config_set("appendonly", "yes")
    assert lines["persistence"][0] == "snapshots only, no AOF"
    assert "set appendonly yes" in lines["persistence"][1]


def test_a_replica(place, redis):
    with connect(redis.url) as client:
        client.replicaof("127.0.0.1", 1)
        try:
            code, lines = findings(place, redis.url)
            done = place.run("submit", "pause", "0", GRISTMILL_REDIS_URL=redis.url)
        finally:
            client.replicaof("NO", "ONE")
    assert code in (1, 3)
    assert lines["topology"][0] == "replica of 127.0.0.1:1"
    assert "name the primary" in lines["topology"][1]
    assert "read-only replica" in done.refused(code=3)


def test_a_cluster(place, tmp_path):
    with running(redis_server(), tmp_path / "cluster", cluster_enabled="yes") as server:
        code, lines = findings(place, server.url)
        assert code != 0
        assert lines["topology"][0] == "cluster"
        assert "in no cluster" in lines["topology"][1]
        place.run("submit", "pause", "0", GRISTMILL_REDIS_URL=server.url).refused("Redis Cluster", code=3)


def test_configuration_that_cannot_be_read(place, redis):
    """As with servers that others manage."""
    with connect(redis.url) as client:
        client.acl_setuser(
            "guest", enabled=True, passwords=["+secret"], categories=["+@all"], keys=["*"], commands=["-config"]
        )
        _, lines = findings(place, redis.url.replace("//:a%20p%40ss%2Fword", "//guest:secret"))
    assert lines["persistence"][0] == "AOF, appendfsync cannot be read"
    assert "managed" in lines["persistence"][1]


@pytest.mark.parametrize(
    ("name", "version", "advice"),
    [
        ("redis", "6.2.14", "update it: redis 7.0 or later"),
        ("redis", "7.0.0", ""),
        ("redis", "8.2.1", ""),
        ("valkey", "7.2.9", "update it: valkey 8.0 or later"),
        ("valkey", "8.0.1", ""),
        ("valkey", "9.1.2", ""),
    ],
)
def test_versions(server, monkeypatch, name, version, advice):
    """By what servers of these versions say of themselves."""
    monkeypatch.setattr(server_findings, "locate", lambda: server.url)
    info = {"server_name": "valkey", "valkey_version": version, "redis_version": "7.2.4"}
    finding = server_findings._version(None, info if name == "valkey" else {"redis_version": version})
    assert f"{name} {version}" in finding.state
    assert finding.advice == advice
