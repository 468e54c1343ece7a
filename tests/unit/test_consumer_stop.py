"""A consumer that stops: nothing that has ended waits until the pool has ended too."""

import logging
from types import SimpleNamespace

import pytest
from kombu.asynchronous import Hub
from kombu.message import Message

from gristmill.worker.celery_internals import CeleryConsumer
from gristmill.worker.consumer import Consumer
from gristmill.worker.message_ends import MessageEnds
from gristmill.worker.pool.threads import ThreadTaskPool


@pytest.mark.parametrize("pool", [None, ThreadTaskPool(limit=1)], ids=["processes", "threads"])
def test_it_acknowledges_what_its_event_loop_has_not_come_to(monkeypatch, pool):
    acknowledged = []
    channel = SimpleNamespace(no_ack_consumers=None, basic_ack=lambda tag, multiple=False: acknowledged.append(tag))
    message = Message(channel=channel, delivery_tag="0/1-0/q")
    consumer = Consumer.__new__(Consumer)
    consumer.hub, consumer.pool, consumer.ends = Hub(), pool, MessageEnds(consumer.call_soon)
    before = []
    monkeypatch.setattr(CeleryConsumer, "stop", lambda _: before.extend(acknowledged))
    consumer.call_soon_ack(message.ack_log_error, logging.getLogger(), ())
    assert acknowledged == []
    consumer.stop()
    assert before == ["0/1-0/q"]


def test_it_acknowledges_what_an_error_in_its_loop_has_dropped_when_it_is_ready_again(monkeypatch):
    """An error that one call raises drops all that the loop was asked to call."""
    made, scripts = [], SimpleNamespace(call=lambda *_, **__: None)
    channel = SimpleNamespace(scripts=scripts, lease=SimpleNamespace(consumer="c"))
    consumer = Consumer.__new__(Consumer)
    consumer.connection, consumer.hostname = SimpleNamespace(default_channel=channel), "w@h"
    consumer.app, consumer.ends = SimpleNamespace(tasks={}), MessageEnds(lambda _: None)
    monkeypatch.setattr(CeleryConsumer, "on_ready", lambda _: None)
    for name, stand_in in (("revokes", SimpleNamespace(read=lambda _: None)), ("watch", lambda *_: None)):
        monkeypatch.setattr(f"gristmill.worker.consumer.{name}", stand_in)
    monkeypatch.setattr("gristmill.worker.consumer.pool_size", SimpleNamespace(hold=lambda _: None))
    consumer.ends.add(lambda: made.append(1))
    consumer.on_ready()
    assert made == [1]
