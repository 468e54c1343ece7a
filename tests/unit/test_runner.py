"""One item: whatever it does, its outcome says so, and it harms nothing else."""

import asyncio
import json
import sys
import time
from contextlib import suppress

import pytest

from gristmill.batches.chunk import Chunk, Item, Work
from gristmill.server.waiting import backoff
from gristmill.tasks.kind import Kind
from gristmill.tasks.return_type import ReturnType
from gristmill.tasks.schema import Schema
from gristmill.worker.limits import TimeLimitExceeded, time_limit
from gristmill.worker.slot.item_runner import ItemRunner
from gristmill.worker.slot.large_value import VALUE_BYTES


class UnspeakableError(Exception):
    def __str__(self):
        raise RuntimeError("no words")


class HiddenError(Exception):
    def __getattribute__(self, name):
        raise LookupError(name)


class NotedError(Exception):
    @property
    def __notes__(self):
        raise LookupError("no notes")


class LeavingError(Exception):
    def __str__(self):
        raise SystemExit(3)


class ClasslessError(Exception):
    @property
    def __class__(self):
        raise LookupError("no class")


class EndlessError(Exception):
    def __str__(self):
        return str(all(True for _ in iter(int, 1)))


class EndlessList(list):
    def __iter__(self):
        while True:
            yield 1


def odd_syntax_error():
    error = SyntaxError("odd")
    error.lineno, error.text, error.offset = 1, 5, "x"
    return error


class Stand:
    """What `ItemRunner` needs of a task."""

    kind = Kind.CPU
    retry_on = (ValueError,)
    capture = True

    def __init__(self, function):
        self.run = function
        self.schema = Schema.of(function)
        self.return_type = ReturnType()


def outcome(function, value="1", retries=0, attempt=1, before=0):
    work = Work(Chunk("b", 1, 7, 1), "t", {}, "item", retries, 1.0, [])
    return ItemRunner(work, Stand(function), "cpu@a")(Item(7, json.loads(value), attempt, before))


def raising(error):
    def task(item: int):
        raise error

    return task


def test_a_value_is_recorded_with_attempts_time_worker_and_pid():
    def double(item: int) -> int:
        return 2 * item

    recorded = outcome(double, "21", attempt=3)
    assert (recorded.index, recorded.state, recorded.text, recorded.retry_ms) == (7, "succeeded", "42", None)
    assert (recorded.attempt, recorded.worker) == (3, "cpu@a")
    assert 0 <= recorded.seconds < 60
    assert recorded.pid > 0


def test_its_seconds_are_those_of_no_clock_that_the_task_patches(monkeypatch):
    def patch(item: int):
        for name in ("time", "monotonic", "perf_counter"):
            monkeypatch.setattr(time, name, lambda: 0.0)

    assert 0 <= outcome(patch).seconds < 60


@pytest.mark.parametrize(
    ("error", "kind"),
    [
        (ValueError("boom"), "ValueError"),
        (SystemExit(3), "SystemExit"),
        (KeyboardInterrupt(), "KeyboardInterrupt"),
        (asyncio.CancelledError(), "CancelledError"),
        (GeneratorExit(), "GeneratorExit"),
        (UnspeakableError(), "UnspeakableError"),
        (ValueError("\ud800"), "ValueError"),
        (MemoryError(), "MemoryError"),
    ],
)
def test_whatever_it_raises_is_its_outcome(error, kind):
    recorded = outcome(raising(error))
    error_fields = json.loads(recorded.text)
    assert (recorded.state, recorded.retry_ms, error_fields["type"]) == ("failed", None, kind)
    assert kind in error_fields["traceback"]
    assert "worker/slot/item_runner.py" not in error_fields["traceback"]
    recorded.text.encode()


@pytest.mark.parametrize(
    "make", [HiddenError, NotedError, LeavingError, ClasslessError, odd_syntax_error, type("E" * 300, (Exception,), {})]
)
def test_an_error_whose_own_code_is_broken_is_an_outcome_too(make):
    recorded = None
    # One that got out would break pytest's report as well.
    with suppress(BaseException):
        recorded = outcome(raising(make()), retries=1)
    assert recorded
    error_fields = json.loads(recorded.text)
    kind = "SyntaxError" if make is odd_syntax_error else make.__name__[:200]
    assert (recorded.state, recorded.retry_ms, error_fields["type"]) == ("failed", None, kind)
    assert len(error_fields["message"]) <= 2000


@pytest.mark.parametrize("function", [raising(EndlessError()), lambda item: EndlessList([1, 2])])
def test_the_time_limit_holds_for_what_writes_the_outcome(function):
    with time_limit.armed(0.2):
        recorded = outcome(function)
    assert recorded.state == "failed"
    assert TimeLimitExceeded.__name__ in recorded.text
    assert 0.2 <= recorded.seconds < 5


def test_calling_sys_exit_fails_the_item_only():
    def leave(item: int):
        sys.exit(item)

    assert json.loads(outcome(leave).text)["type"] == "SystemExit"


@pytest.mark.parametrize(
    ("value", "kind"),
    [
        ({1: "a", "1": "b"}, "ResultNotJSON"),
        ((n for n in range(3)), "ResultNotJSON"),
        (float("nan"), "ResultNotJSON"),
        ("x" * VALUE_BYTES, "ResultTooLarge"),
        ("é" * (VALUE_BYTES // 2), "ResultTooLarge"),
        pytest.param(10**5000, "ResultNotJSON", id="huge"),
    ],
)
def test_a_value_that_cannot_be_kept_fails_its_item(value, kind):
    def give(item: int):
        return value

    assert json.loads(outcome(give).text)["type"] == kind


def test_an_item_that_does_not_fit_the_task_fails():
    error_fields = json.loads(outcome(raising(None), '"x"').text)
    assert error_fields["type"] == "ItemError"
    assert "item: 'x' (expected an integer" in error_fields["message"]


def test_an_item_is_tried_again_after_the_errors_that_its_task_names():
    assert outcome(raising(ValueError()), retries=1).retry_ms in range(500, 1001)
    assert outcome(raising(ValueError()), retries=1, attempt=2).retry_ms is None
    assert outcome(raising(TypeError()), retries=1).retry_ms is None


def test_an_item_that_was_given_back_is_tried_as_often_as_at_first():
    recorded = outcome(raising(ValueError()), retries=1, attempt=3, before=2)
    assert recorded.retry_ms in range(500, 1001), "and waits as long"
    assert recorded.attempt == 3
    assert outcome(raising(ValueError()), retries=1, attempt=4, before=2).retry_ms is None


def test_backoff_doubles_and_is_capped_and_jittered():
    assert [backoff(attempt, 1.0, luck=1) for attempt in (1, 2, 3)] == [1, 2, 4]
    assert backoff(3, 1.0, luck=0) == 2
    assert backoff(10_000, 1.0, 600.0, luck=1) == 600
    assert len({backoff(5, 1.0) for _ in range(10)}) > 1
