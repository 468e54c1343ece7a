"""What threads leave for an event loop: all of it is done, in order, with one call of the loop for many."""

import threading
from queue import SimpleQueue

import pytest

from gristmill.worker.message_ends import LatePromise, MessageEnds


@pytest.fixture
def calls():
    """What the event loop is asked to call."""
    return []


def test_one_call_of_the_loop_makes_all_that_have_come(calls):
    made, ends = [], MessageEnds(calls.append)
    for number in range(3):
        ends.add(lambda number=number: made.append(number))
    assert (len(calls), made) == (1, [])
    calls.pop()()
    assert (calls, made) == ([], [0, 1, 2])
    ends.add(lambda: made.append(3))
    calls.pop()()
    assert made == [0, 1, 2, 3]


def test_one_that_raises_keeps_no_other_from_being_made(calls):
    made, ends = [], MessageEnds(calls.append)
    ends.add(lambda: made.append(1))
    ends.add(lambda: 1 / 0)
    ends.add(lambda: made.append(2))
    with pytest.raises(ZeroDivisionError):
        calls.pop()()
    assert (len(calls), made) == (1, [1])
    calls.pop()()
    assert (calls, made) == ([], [1, 2])


def test_nothing_that_many_threads_leave_is_lost():
    asked, made = SimpleQueue(), []
    ends = MessageEnds(asked.put)
    threads = [
        threading.Thread(target=lambda: [ends.add(lambda: made.append(1)) for _ in range(5_000)]) for _ in range(4)
    ]
    for thread in threads:
        thread.start()
    while any(thread.is_alive() for thread in threads) or not asked.empty():
        if not asked.empty():
            asked.get()()
    assert len(made) == 20_000


class TestLatePromise:
    def test_calls_with_the_arguments_of_both(self):
        assert LatePromise(lambda *arguments: arguments, (1,), on_error=pytest.fail)(2, 3) == (1, 2, 3)

    def test_hands_an_error_over(self):
        errors = []
        LatePromise(lambda divisor: 1 / divisor, (0,), on_error=lambda *arguments: errors.append(arguments))()
        ((argument, error),) = errors
        assert argument == 0
        assert isinstance(error, ZeroDivisionError)

    def test_says_how_it_ended_to_whoever_asked(self):
        answers, promise = [], LatePromise(lambda value: value + 1, (1,), on_error=pytest.fail)
        promise.then(answers.append)
        promise()
        assert answers == [2]
