"""Revokes: the server remembers each, by id and by stamp, however the app writes its messages."""

import json
import zlib
from datetime import UTC, datetime, timedelta

import pytest
from celery import Celery
from celery.worker import state
from kombu.serialization import register, unregister

from gristmill.broker import revokes
from gristmill.broker.address import from_redis
from tests.conftest import until


@pytest.fixture(autouse=True)
def no_revokes():
    """What a worker knows of revokes: nothing yet."""
    state.revoked.clear()
    state.revoked_stamps.clear()


@pytest.fixture
def control(bench, request):
    app = Celery("shop", broker=from_redis(bench.url), set_as_current=False)
    app.conf.update(
        task_serializer=request.param,
        accept_content=["json", request.param],
        broker_transport_options={"global_keyprefix": bench.prefix},
    )
    yield app.control
    app.pool.force_close_all()


@pytest.fixture(autouse=True, scope="module")
def zipped():
    """A serializer of the kind of msgpack, which may not be installed: it writes bytes."""
    register(
        "zipped",
        lambda value: zlib.compress(json.dumps(value).encode()),
        lambda data: json.loads(zlib.decompress(bytes(data))),
        "application/x-zipped",
        "binary",
    )
    yield
    unregister("zipped")


def each_serializer(test):
    return pytest.mark.parametrize("control", ["json", "pickle", "zipped"], indirect=True)(test)


def remembered(bench, name):
    return set(bench.client.zrange(f"{bench.prefix}gm1:{name}", 0, -1))


@each_serializer
def test_ids_are_remembered(bench, control):
    control.revoke("one")
    control.revoke(["two", "three"], terminate=True)
    control.ping(timeout=0.01)
    assert remembered(bench, "revoked") == {"one", "two", "three"}


@each_serializer
def test_stamps_are_remembered(bench, control):
    control.revoke_by_stamped_headers({"customer": ["x", "y"], "order": "z"})
    assert remembered(bench, "revoked_stamps") == {"customer\0x", "customer\0y", "order\0z"}
    assert remembered(bench, "revoked") == set()


@pytest.mark.parametrize("control", ["json"], indirect=True)
def test_a_list_of_stamps_is_remembered_as_workers_read_it(bench, control):
    control.broadcast("revoke_by_stamped_headers", arguments={"headers": ["customer=x", "order=z"]})
    assert remembered(bench, "revoked_stamps") == {"customer\0x", "order\0z"}


@pytest.mark.parametrize("control", ["json"], indirect=True)
def test_a_worker_that_starts_learns_them(bench, control, channel):
    control.revoke("one")
    control.revoke_by_stamped_headers({"customer": ["x", "y"], "order": "z"})
    for _ in range(2):
        revokes.read(channel.scripts)
        assert "one" in state.revoked
        assert {name: sorted(values) for name, values in state.revoked_stamps.items()} == {
            "customer": ["x", "y"],
            "order": ["z"],
        }


@pytest.mark.parametrize("value", ["x", ["w", "x"]], ids=str)
@pytest.mark.parametrize("control", ["json"], indirect=True)
def test_a_message_with_a_revoked_stamp_is_dropped_when_it_is_due(bench, control, channel, value):
    eta = (datetime.now(UTC) + timedelta(seconds=0.2)).isoformat()
    for identity, stamps in (("one", {"customer": value}), ("two", {"customer": "other"}), ("three", None)):
        headers = {"task": "t", "id": identity, "eta": eta, "stamped_headers": list(stamps or ()), "stamps": stamps}
        message = channel.prepare_message(json.dumps(1), content_type="application/json", headers=headers)
        channel.basic_publish(message, "", "q")
    control.revoke_by_stamped_headers({"customer": "x"})
    for _ in range(3):
        until(lambda: channel.basic_get("q", no_ack=True), what="a message")
    assert [identity for identity in ("one", "two", "three") if identity in state.revoked] == ["one"]


@pytest.mark.parametrize("control", ["json"], indirect=True)
def test_a_command_that_cannot_be_read_is_sent_all_the_same(bench, control, caplog):
    control.broadcast("revoke", arguments={"tasks": 5})
    assert "cannot be read" in caplog.text
    assert remembered(bench, "revoked") == set()
