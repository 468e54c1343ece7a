"""A chunk of one item and its retry have messages of one id: a worker may have both, and ends the first one's first."""

from types import SimpleNamespace

import pytest
from celery.worker import state

from gristmill.batches.chunk import Chunk
from gristmill.worker.heartbeat import unacknowledged_chunks
from gristmill.worker.kills import Kills
from gristmill.worker.slot.chunk_task import MESSAGE_VERSION, run_chunk

CHUNK = Chunk("b", 1, 7, 1)


class Request:
    """What Celery's state, the heartbeat and a kill need of a request."""

    def __init__(self):
        self.id, self.name, self.signals = CHUNK.message_id, run_chunk.name, []
        self.args = (MESSAGE_VERSION, CHUNK.batch, CHUNK.epoch, CHUNK.first, CHUNK.count, 0)

    def terminate(self, _pool, signal):
        self.signals.append(signal)


@pytest.fixture
def requests():
    """The requests of the first attempt and of its retry, which the worker runs both."""
    both = Request(), Request()
    for request in both:
        state.task_reserved(request)
        state.task_accepted(request)
    yield both
    for request in both:
        state.task_ready(request)


def kill():
    kills = Kills(SimpleNamespace(hub=None, pool=None))
    kills.learn([CHUNK.message_id], [])
    assert kills.ended() == [CHUNK.message_id]


def test_the_heartbeat_shows_the_retry_when_the_first_attempt_has_ended(requests):
    state.task_ready(requests[0])
    assert list(unacknowledged_chunks()) == [CHUNK]


def test_a_kill_ends_the_retry_when_the_first_attempt_has_ended(requests):
    state.task_ready(requests[0])
    kill()
    assert [request.signals for request in requests] == [[], ["SIGKILL"]]


def test_a_kill_ends_both_while_a_slot_goes_on_under_the_first_message(requests):
    kill()
    assert [request.signals for request in requests] == [["SIGKILL"], ["SIGKILL"]]


def test_what_runs_is_shown_when_a_lost_connection_has_cleared_what_is_reserved(requests):
    state.reserved_requests.clear()
    assert set(unacknowledged_chunks()) == {CHUNK}
