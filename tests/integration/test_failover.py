"""A server behind Sentinel: who the primary is, what is confirmed, and how calls get through a failover."""

import signal
import time
from contextlib import contextmanager
from queue import SimpleQueue
from threading import Event
from urllib.parse import quote
from uuid import uuid4

import pytest
from celery import Celery
from redis import exceptions

import gristmill.broker  # noqa: F401
from benchmarks.chaos.group import ServerGroup
from gristmill.batches.appends import Append
from gristmill.batches.feed import Feed
from gristmill.batches.ledger import Ledger
from gristmill.batches.schedules import Draft, definition
from gristmill.batches.timetable import Timetable
from gristmill.broker.address import from_redis
from gristmill.broker.enqueue import enqueue_many
from gristmill.config.settings import load, settings, use
from gristmill.errors import ServerError
from gristmill.producer import feeder
from gristmill.producer.backpressure import Backpressure
from gristmill.producer.batch import Batch
from gristmill.producer.items.checked import ItemLot
from gristmill.producer.sent_blocks import TOGETHER, Block, SentBlocks
from gristmill.server import confirm, primary
from gristmill.server.confirm import ConfirmationLost, ConfirmedLot, confirmed
from gristmill.server.connection import connect
from gristmill.server.primary import primary_for
from gristmill.server.replicas import findings
from gristmill.server.sentinel import Council, PrimaryUnknown, Report
from gristmill.server.waiting import COMMAND, NEVER, ONCE, Deadline, Policy, within
from tests.conftest import until
from tests.support.ledger import FIELDS

SOON = 0.4


@pytest.fixture(scope="module")
def group(tmp_path_factory):
    with ServerGroup(tmp_path_factory.mktemp("group")) as servers:
        yield servers


@pytest.fixture
def server(group):
    with connect(group.url) as client:
        yield client
    client.connection_pool.disconnect()


@pytest.fixture
def confirming(monkeypatch):
    """Set how many replicas confirm, and for how long to wait for them, in this process."""

    def set_to(replicas, seconds=SOON):
        monkeypatch.setenv("GRISTMILL_CONFIRM_REPLICAS", str(replicas))
        monkeypatch.setenv("GRISTMILL_CONFIRM_SECONDS", str(seconds))
        settings.cache_clear()
        return settings()

    yield set_to
    monkeypatch.undo()
    settings.cache_clear()


@contextmanager
def frozen(*nodes):
    for node in nodes:
        node.send(signal.SIGSTOP)
    try:
        yield
    finally:
        for node in nodes:
            node.send(signal.SIGCONT)


def replicas_of(group):
    return [node for node in group.servers if node is not group.primary()]


# -- who the primary is


def test_a_client_reaches_the_primary(group, server):
    assert server.role()[0] == "master"
    assert int(server.info("server")["tcp_port"]) == group.primary().port


def test_one_stopped_sentinel_delays_nobody_for_long(group, server):
    with frozen(group.sentinels[0]):
        server.connection_pool.disconnect()
        started_at = time.monotonic()
        assert server.ping()
        server.connection_pool.disconnect()
        assert server.ping()
        assert time.monotonic() - started_at < COMMAND.seconds


def test_a_primary_of_an_older_configuration_is_not_believed(group, monkeypatch):
    with connect(group.url, ONCE) as client:
        assert client.ping()
        known = primary_for(client.connection_pool.connection_kwargs)
        monkeypatch.setitem(primary._epochs, known.sentinels, known.epoch + 1)
        with pytest.raises(PrimaryUnknown):
            known.find()
        client.connection_pool.disconnect()
        with pytest.raises(PrimaryUnknown):
            client.ping()


def test_a_replica_is_not_believed_whatever_the_sentinels_say(group, monkeypatch):
    replica = replicas_of(group)[0]
    monkeypatch.setattr(Council, "primary", lambda _: Report(1 << 30, ("127.0.0.1", replica.port), False))
    with connect(group.url, ONCE) as client:
        known = primary_for(client.connection_pool.connection_kwargs)
        monkeypatch.setitem(primary._epochs, known.sentinels, known.epoch)
        with pytest.raises(PrimaryUnknown, match="not the primary"):
            client.get("key")


def test_a_connection_to_an_earlier_primary_is_broken_off(group, server, monkeypatch):
    assert server.ping()
    known = primary_for(server.connection_pool.connection_kwargs)
    pinned = server.connection_pool.get_connection()
    monkeypatch.setitem(primary._epochs, known.sentinels, known.epoch)
    report = Council.primary
    before, newer = known.epoch, known.epoch + 1
    monkeypatch.setattr(Council, "primary", lambda council: report(council)._replace(epoch=newer))
    with pytest.raises(exceptions.ConnectionError):
        until(lambda: pinned.can_read(timeout=0.1) and pinned.read_response())
    assert known.epoch == newer > before
    server.connection_pool.release(pinned)


def test_a_primary_that_turns_read_only_is_waited_out(group, server):
    assert server.set("key", 1)
    port = group.primary().port
    group.ask(port, "REPLICAOF", "127.0.0.1", str(replicas_of(group)[0].port))
    # Sentinel, or this test, makes a primary again.
    assert server.set("key", 2)
    group.wait_until_whole()


def test_a_wrong_password_of_the_sentinels_is_said(group):
    url = group.url.replace(quote(group.sentinel_password), "wrong")
    with connect(url, ONCE) as client, pytest.raises(PrimaryUnknown, match="password"):
        client.ping()


# -- what is confirmed


def test_a_write_is_confirmed_by_as_many_replicas_as_there_are(server, confirming):
    assert confirmed(server, confirming(2, 5), lambda one: one.set("key", 3))
    with pytest.raises(ServerError, match="2 of 3"):
        confirmed(server, confirming(3), lambda one: one.set("key", 4))


def test_a_full_server_confirms_what_is_read_so_that_readers_can_make_room(server, confirming):
    assert confirmed(server, confirming(2, 5), lambda one: one.set("key", 3))
    server.config_set("maxmemory", 1)
    try:
        assert confirmed(server, confirming(2, 5), lambda one: one.get("key")) == "3"
    finally:
        server.config_set("maxmemory", 0)


def test_nothing_is_confirmed_while_a_replica_is_stopped_not_even_what_changes_nothing(group, server, confirming):
    assert confirmed(server, confirming(2, 5), lambda one: one.set("key", 5))
    server.connection_pool.disconnect()
    with frozen(replicas_of(group)[0]):
        # A fresh connection, and a call that changes nothing: WAITAOF alone calls both confirmed.
        with pytest.raises(ServerError, match="1 of 2"):
            confirmed(server, confirming(2, 5), lambda one: one.setnx("key", 6))
        with pytest.raises(ServerError, match="1 of 2"):
            confirmed(server, confirming(2, 5), lambda one: one.get("key"))
        assert confirmed(server, confirming(1), lambda one: one.get("key")) == "5"
    assert until(lambda: confirmed(server, confirming(2, 5), lambda one: one.get("key"))) == "5"


def test_work_is_done_again_when_its_connection_breaks(server, confirming):
    runs = []

    def work(one):
        runs.append(one.set("key", len(runs)))
        if len(runs) < 3:
            one.connection_pool.connection.disconnect()
        return len(runs)

    assert confirmed(server, confirming(1), work) == 3


def test_a_write_that_cannot_be_repeated_is_uncertain_when_its_connection_breaks(server, confirming, monkeypatch):
    confirming(1)
    command = confirm.wait_command

    def broken(one, replicas):
        one.connection_pool.connection.disconnect()
        return command(one, replicas)

    lot = ConfirmedLot(server.pipeline(), server.connection_pool)
    lot.set("key", 1)
    # The confirmation goes over another connection than the write.
    monkeypatch.setattr(confirm, "wait_command", broken)
    with pytest.raises(ConfirmationLost):
        lot.execute()


def test_a_pipeline_goes_over_the_same_connection(server, confirming):
    def work(one):
        with one.pipeline() as pipe:
            return one.client_id(), pipe.client_id().execute()[0]

    first, second = confirmed(server, confirming(1), work)
    assert first == second


def test_what_is_part_of_other_work_is_confirmed_with_it(group, server, confirming):
    settings, connections = confirming(2), []

    def work(one):
        connections.append(one.client_id())
        connections.append(confirmed(server, settings, lambda inner: inner.client_id()))

    with frozen(replicas_of(group)[0]), pytest.raises(ServerError, match="1 of 2"):
        confirmed(server, settings, work)
    first, second = connections
    assert first == second


@pytest.mark.parametrize("in_order", [False, True])
def test_the_counters_and_the_results_of_a_page_are_confirmed_once(server, confirming, monkeypatch, in_order):
    ledger = Ledger(server, confirming(2, 5))
    ledger.create(f"page-{in_order}", "token", FIELDS)
    confirmations, really = [], confirm.confirm
    monkeypatch.setattr(confirm, "confirm", lambda *call: (confirmations.append(call), really(*call)))
    lots = Batch(f"page-{in_order}", ledger).lots(in_order=in_order, consume=False, deadline=NEVER, blocks=False)
    info, results = next(lots)
    assert (info.submitted, list(results)) == (0, [])
    assert len(confirmations) == 1


def test_a_block_is_not_submitted_while_a_replica_is_stopped(group, server, confirming):
    ledger = Ledger(server, load({"GRISTMILL_CONFIRM_REPLICAS": "2", "GRISTMILL_CONFIRM_SECONDS": str(SOON)}))
    ledger.create("block", "token", FIELDS)
    with frozen(replicas_of(group)[1]), pytest.raises(ServerError, match="GRISTMILL_CONFIRM_REPLICAS"):
        ledger.append("block", "token", 0, ["0"], "sha")
    # Again after the answer that was no success: nothing changes, and it is confirmed.
    until(lambda: ledger.append("block", "token", 0, ["0"], "sha") is None)
    assert ledger.infos(["block"])[0].submitted == 1


@pytest.fixture(params=["batch", "append", "schedule"])
def store(request, server, confirming):
    """Where a producer stores the blocks of a batch or schedule of this name, which is its token too; and their key."""
    name, asked = uuid4().hex, confirming(2, 5)
    if request.param == "append":
        append = Append(server, asked, "append", lambda *_: "")
        append.begin(name, name, {**FIELDS, "open": 1})
        return append, name, f"gm1:batch:{name}:in"
    if request.param == "schedule":
        timetable = Timetable.of_every(3600, 0)
        draft = Draft(server, asked, definition(timetable, "once", "skip", FIELDS), 1 << 42)
        return draft, name, f"gm1:draft:{name}"
    Ledger(server, asked).create(name, name, FIELDS)
    return Ledger(server, asked), name, f"gm1:batch:{name}:in"


def block(number):
    return Block(number, [str(number)], f"sha{number}", 1)


def stored_items(server, key):
    return [fields["items"] for _, fields in server.xrange(key)]


def test_blocks_are_confirmed_together_and_before_anybody_is_told(group, server, store, monkeypatch):
    place, name, key = store
    confirmations, really = [], confirm.confirm
    monkeypatch.setattr(confirm, "confirm", lambda *call: (confirmations.append(call), really(*call)))
    sent = SentBlocks(name, name)
    for number in range(TOGETHER - 1):
        sent.send(place, block(number))
    assert len(confirmations) == 0
    sent.send(place, block(TOGETHER - 1))
    assert len(confirmations) == 1
    sent.settle(place)
    assert len(confirmations) == 1
    with frozen(replicas_of(group)[0]):
        sent.send(place, block(TOGETHER))
        place.settings = place.settings.model_copy(update={"confirm_seconds": SOON})
        with pytest.raises(ServerError, match="1 of 2"):
            sent.settle(place)
    until(lambda: sent.settle(place) is None)
    assert stored_items(server, key) == [str(number) for number in range(TOGETHER + 1)]


@pytest.mark.parametrize("silent", [False, True])
def test_blocks_that_a_failover_takes_back_are_sent_again(server, store, monkeypatch, silent):
    place, name, key = store
    monkeypatch.setattr(feeder, "BLOCK_ITEMS", 1)

    def lots():
        yield ItemLot(0, ["0"])  # The next primary has no more.
        for each in server.scan_iter("gm1:*"):
            server.copy(each, f"kept:{each}", replace=True)
        yield from (ItemLot(number, [str(number)]) for number in (1, 2, 3))
        for each in list(server.scan_iter("gm1:*")):
            server.copy(f"kept:{each}", each, replace=True) or server.delete(each)
        if silent:
            feeding._answered_at = 0.0
            until(lambda: len(stored_items(server, key)) == 4)

    others = Feed(True, 0, "", False), Backpressure(server, print, NEVER), Event(), SimpleQueue()
    with feeder.Feeder(place, name, name, *others) as feeding:
        assert feeding.send(lots(), lambda: None, str) == 4
        assert stored_items(server, key) == ["0", "1", "2", "3"]
        feeding.end(0)
    server.delete(*server.scan_iter("kept:*"))


@pytest.fixture
def app(group):
    """A Celery app of a user, with our broker behind Sentinel."""
    app = Celery("own", broker=from_redis(group.url), set_as_current=False)
    app.task(name="noop", shared=False)(_noop)
    yield app
    app.close()


def _noop(number):
    return number


def test_delay_returns_when_replicas_have_the_message(group, app, server, confirming):
    task = app.tasks["noop"]
    confirming(2, 5)
    task.apply_async((1,), queue="confirmed")
    assert len(enqueue_many(task, [(2,), (3,)], queue="confirmed")) == 2
    assert server.xlen("gm1:q:confirmed:0") == 3
    confirming(2)
    with frozen(replicas_of(group)[0]):
        for call in (
            lambda: task.apply_async((4,), queue="confirmed"),
            lambda: enqueue_many(task, [(5,)], queue="confirmed"),
        ):
            with pytest.raises(ServerError, match="GRISTMILL_CONFIRM_REPLICAS"):
                call()
        # Once each: a repetition would put it a second time.
        assert server.xlen("gm1:q:confirmed:0") == 5


# -- failovers


@pytest.mark.parametrize("fault", ["kill", "freeze", "cut"])
def test_a_call_gets_through_a_failover(group, server, app, confirming, fault):
    confirmed(server, confirming(1, 5), lambda one: one.set(fault, "before"))
    node = getattr(group, fault)()
    try:
        with within(Deadline(25)):
            assert confirmed(server, confirming(1, 5), lambda one: one.get(fault)) == "before"
            assert confirmed(server, confirming(1, 5), lambda one: one.set(fault, "after"))
        app.tasks["noop"].apply_async((1,), queue=fault, retry_policy=Policy(20).as_celery())
        # Not all Sentinels learn of it together.
        until(lambda: group.primary() is not node, what="another primary")
    finally:
        {"kill": node.start, "freeze": lambda: node.send(signal.SIGCONT), "cut": lambda: group.heal(node)}[fault]()
        group.wait_until_whole()
    assert server.get(fault) == "after"
    assert server.xlen(f"gm1:q:{fault}:0") >= 1
    assert use({}) == settings()


def test_doctor_says_whether_the_replicas_keep_the_promise(group, server, confirming):
    def advice(replicas):
        lines = list(findings(server, server.info(), confirming(replicas)))
        return {check: text for check, _, text in lines}

    assert advice(2) == {"confirmation": "", "replica": ""}
    assert "CONFIRM_REPLICAS=2" in advice(1)["confirmation"]
    assert "CONFIRM_REPLICAS=2" in advice(0)["confirmation"]
    assert "nothing can be confirmed" in advice(3)["confirmation"]
    replica = replicas_of(group)[0].port
    for name, value, word in (("appendfsync", "everysec", "second"), ("appendonly", "no", "no AOF")):
        before = group.ask(replica, "CONFIG", "GET", name)
        group.ask(replica, "CONFIG", "SET", name, value)
        try:
            said = [text for check, _, text in findings(server, server.info(), confirming(2)) if check == "replica"]
        finally:
            group.ask(replica, "CONFIG", "SET", name, before[name])
        assert sum(word in text for text in said) == 1
