"""Tokens of puts: one for all tries of a put, a new one for the next put, none that two processes share."""

import os
import threading

import pytest

from gristmill.broker import senders
from gristmill.broker.senders import Token, token_of


@pytest.fixture(autouse=True)
def no_senders():
    senders._idle.clear()


def put(properties):
    """Make a put; answers its token."""
    with token_of(properties) as token:
        return token


def failed_put(properties, error):
    with pytest.raises(type(error)), token_of(properties) as token:
        raise error
    return token


def test_a_sender_numbers_its_puts():
    tokens = [put({}) for _ in range(3)]
    assert {token.sender for token in tokens} == {tokens[0].sender}
    assert [token.number for token in tokens] == [1, 2, 3]


@pytest.mark.parametrize("error", [ConnectionError(), KeyError(), KeyboardInterrupt()], ids=repr)
def test_each_try_of_a_put_has_its_token_and_the_put_after_it_another(error):
    properties = {"priority": 0}
    first = failed_put(properties, error)
    # Somebody else puts meanwhile.
    assert put({}).sender != first.sender
    assert failed_put(properties, error) == first
    assert put(properties) == first
    assert properties == {"priority": 0}
    assert put(properties) == Token(first.sender, 2)


def test_two_puts_at_a_time_have_two_senders():
    with token_of({}) as one, token_of({}) as other:
        assert one.sender != other.sender


def test_threads_that_put_one_after_the_other_need_one_sender():
    tokens = []
    for _ in range(5):
        thread = threading.Thread(target=lambda: tokens.append(put({})))
        thread.start()
        thread.join()
    assert len({token.sender for token in tokens}) == 1


def test_a_forked_process_has_senders_of_its_own():
    parent = put({})
    reading, writing = os.pipe()
    if not (child := os.fork()):
        os.write(writing, put({}).sender.encode())
        os._exit(0)
    os.waitpid(child, 0)
    assert os.read(reading, 100).decode() != parent.sender
    os.close(reading)
    os.close(writing)
    assert put({}) == Token(parent.sender, 2)
