"""How long somebody waits for a server, and which errors another try can mend."""

import time
from contextlib import suppress

import pytest
from redis import exceptions

from gristmill.errors import ServerError
from gristmill.server.waiting import (
    COMMAND,
    ONCE,
    OUTCOMES,
    Deadline,
    Patience,
    Policy,
    hopeless,
    passing,
    patiently,
    within,
)


class Server:
    """Answers after `failures` errors, and counts the calls."""

    def __init__(self, failures, error=None):
        self.failures, self.error, self.calls = failures, error or exceptions.ConnectionError("away"), 0

    def __call__(self):
        self.calls += 1
        if self.calls <= self.failures:
            raise self.error
        return "answer"


def test_a_server_that_comes_back_answers():
    server, pauses = Server(3), []
    assert patiently(server, COMMAND, sleep=pauses.append) == "answer"
    assert len(pauses) == 3
    assert all(0 < pause <= COMMAND.pause for pause in pauses)


@pytest.mark.parametrize(
    ("error", "calls"),
    [(exceptions.AuthenticationError("no"), 1), (exceptions.ResponseError("wrong"), 1), (LookupError(), 1)],
)
def test_what_no_try_can_mend_is_raised_at_once(error, calls):
    server = Server(9, error)
    with pytest.raises(type(error)):
        patiently(server, COMMAND)
    assert server.calls == calls


def test_the_policy_and_the_limit_of_the_caller_both_end_it():
    server = Server(10**9)
    with pytest.raises(exceptions.ConnectionError):
        patiently(server, ONCE)
    assert server.calls == 1
    started_at = time.monotonic()
    with within(Deadline(0.2)), pytest.raises(exceptions.ConnectionError):
        patiently(server, OUTCOMES)
    with pytest.raises(exceptions.ConnectionError):
        patiently(server, Policy(0.2))
    assert time.monotonic() - started_at > 0.3


def test_a_limit_longer_than_the_policy_changes_nothing():
    with within(Deadline(60)), pytest.raises(exceptions.ConnectionError):
        patiently(Server(9), ONCE)


def test_the_tries_of_celery_take_as_long():
    policy = COMMAND.as_celery()
    assert policy["max_retries"] * policy["interval_max"] == COMMAND.seconds


def test_a_refusal_is_seen_through_our_own_error():
    error = ServerError("the login")
    error.__context__ = exceptions.AuthenticationError("no")
    assert hopeless(error)
    assert passing(exceptions.ResponseError("MISCONF the disk"))


LATE = exceptions.TimeoutError("no answer")
DEMOTED = exceptions.ResponseError("UNBLOCKED force unblock from blocking operation")


@pytest.mark.parametrize(
    ("policy", "errors", "limit", "calls", "answers"),
    [
        (COMMAND, [LATE], None, 2, True),
        (COMMAND, [LATE, LATE], None, 2, False),
        # The time of the caller is over.
        (COMMAND, [LATE], -1, 1, False),
        (ONCE, [LATE], None, 1, False),
        (COMMAND, [DEMOTED, exceptions.ReadOnlyError("a replica"), exceptions.ConnectionError("away")], None, 4, True),
        (COMMAND, [exceptions.ResponseError("WRONGTYPE")], None, 1, False),
    ],
)
def test_a_call_is_made_again_over_another_connection(policy, errors, limit, calls, answers):
    made, left, closed = [], list(errors), []

    def call():
        made.append(1)
        if left:
            raise left.pop(0)
        return True

    with within(Deadline(limit)), suppress(exceptions.RedisError):
        assert Patience(policy).call_with_retry(call, closed.append) is answers
    assert (len(made), len(closed), len(closed) == len(errors)) == (calls, calls - 1, answers)
