"""The messages that a worker's pool has: which of them it has lost."""

from types import SimpleNamespace

import pytest
from billiard.pool import ApplyResult

from gristmill.worker.celery_internals import note_job
from gristmill.worker.pool.messages import PoolMessages
from gristmill.worker.pool.threads import ThreadJob


class Job:
    """A job of a pool of processes or greenlets."""

    def __init__(self):
        self.over = False

    def ready(self):
        return self.over


class Request:
    def __init__(self, tag):
        self.message = SimpleNamespace(delivery_tag=tag)
        self.is_abandoned = False
        self.job = None

    def abandon(self):
        self.is_abandoned = True


def hand_over(messages, request, job):
    messages.add(request)
    note_job(request, job)


@pytest.fixture
def messages():
    return PoolMessages()


@pytest.fixture
def request_():
    return Request("0/1-0/q")


def test_a_job_that_is_over_without_an_end_is_lost_when_it_is_so_twice(messages, request_):
    job = Job()
    hand_over(messages, request_, job)
    assert messages.lost() == messages.lost() == set()
    job.over = True
    assert messages.lost() == set(), "the pool may be about to report the end"
    assert not request_.is_abandoned
    assert messages.lost() == {"0/1-0/q"}
    assert request_.is_abandoned
    assert messages.lost() == set()


def test_so_is_one_that_the_pool_has_dropped(messages, request_):
    job = Job()
    hand_over(messages, request_, job)
    del job
    messages.lost()
    assert messages.lost() == {"0/1-0/q"}


def test_and_one_whose_thread_has_ended(messages, request_):
    job = ThreadJob(())
    hand_over(messages, request_, job)
    messages.lost()
    assert messages.lost() == set()
    job.has_ended = True
    messages.lost()
    assert messages.lost() == {"0/1-0/q"}


def test_a_message_whose_end_was_reported_is_not_lost(messages, request_):
    job = Job()
    hand_over(messages, request_, job)
    job.over = True
    messages.lost()
    messages.remove(request_)
    assert messages.lost() == set()


def test_nor_one_that_a_thread_ended_before_its_job_was_known(messages, request_):
    job = ThreadJob(())
    messages.add(request_)
    job.has_ended = True
    messages.remove(request_)
    note_job(request_, job)
    assert messages.lost() == messages.lost() == set()
    assert not request_.is_abandoned


def test_nor_one_that_celery_took_back_nor_one_of_a_pool_that_tells_nothing(messages, request_):
    cache, other = {}, Request("0/2-0/q")
    taken_back, job = ApplyResult(cache, None), ApplyResult(cache, None)
    hand_over(messages, request_, taken_back)
    hand_over(messages, other, job)
    messages.add(Request("0/3-0/q"))
    taken_back.discard()
    assert (messages.forget(), messages.forget()) == ({"0/1-0/q"}, set())
    messages.lost()
    assert messages.lost() == set()
    assert not request_.is_abandoned
    job.discard()
    messages.lost()
    assert messages.lost() == {"0/2-0/q"}


def test_a_message_that_came_again_is_not_removed_by_its_first_request(messages, request_):
    again = Request("0/1-0/q")
    messages.add(request_)
    hand_over(messages, again, Job())
    messages.remove(request_)
    messages.lost()
    assert messages.lost() == {"0/1-0/q"}
    assert again.is_abandoned
