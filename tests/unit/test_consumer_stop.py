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
