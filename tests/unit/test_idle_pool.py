"""How the pool of a worker ends that runs nothing."""

from types import SimpleNamespace

import pytest
from kombu import Message
from kombu.asynchronous import Hub, set_event_loop

from gristmill.worker.celery_internals import end_idle_pool


class Recorded(Message):
    """A message that notes its acknowledgement."""

    def ack_log_error(self, *_, **__):
        self.headers["acknowledged"] = True


@pytest.fixture
def hub():
    hub = Hub()
    set_event_loop(hub)
    yield hub
    set_event_loop(None)
    hub.close()


def pool_with(jobs):
    calls = []
    processes = SimpleNamespace(_cache=jobs, close=lambda: calls.append("close"), join=lambda: calls.append("join"))
    return SimpleNamespace(_pool=processes), calls


def test_what_has_just_ended_is_acknowledged(hub):
    message = Recorded(headers={})
    pool, calls = pool_with({})
    hub.call_soon(message.ack_log_error)
    assert end_idle_pool(pool)
    assert (calls, pool._pool, message.headers) == (["close", "join"], None, {"acknowledged": True})


def test_one_that_has_jobs_ends_as_celery_ends_it():
    pool, calls = pool_with({1: "a job"})
    assert not end_idle_pool(pool)
    assert (calls, pool._pool is None) == ([], False)
