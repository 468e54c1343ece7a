"""Admission: what a worker starts, holds and hands back, by the slots and the memory that items take."""

import gc
from types import SimpleNamespace
from weakref import WeakSet

import pytest
from celery.worker import state

from gristmill.config.resources import Resources
from gristmill.worker.admission import HIDDEN_SECONDS, MISFIT_SECONDS, Admission, needs_of


class Request:
    """A message that Celery has reserved."""

    name = "gristmill.chunk"

    def __init__(self, qos, slots=1, memory=0, plain=False):
        needs = [] if (slots, memory) == (1, 0) else [slots, memory]
        self.args = [2, "b", 1, 0, 1, 0, *needs]
        self.task = SimpleNamespace(quarantines_items=not plain, resources=Resources(slots, memory))
        self.message = SimpleNamespace(channel=SimpleNamespace(qos=qos), delivery_tag=self)
        self.acknowledged = False
        self.id = id(self)


class Worker:
    """A worker with 4 slots and 10 bytes: what it started, what it postponed, and its timer."""

    def __init__(self):
        self.started, self.postponed, self.timer = [], {}, []
        self.call_after = lambda seconds, function, args: self.timer.append((function, args))
        self.admission = Admission(self.started.append, lambda: Resources(4, 10), self)

    def postpone(self, tag, seconds):
        self.postponed[tag] = seconds

    def get(self, *needs, **options):
        request = Request(self, *needs, **options)
        state.reserved_requests.add(request)
        self.admission(request)
        return request

    def end(self, request):
        state.reserved_requests.discard(request)
        self.admission.resume()


class ChangingSet(WeakSet):
    """The set that Celery's threads change while somebody goes over it."""

    def __iter__(self):
        raise RuntimeError("Set changed size during iteration")


@pytest.fixture
def worker(monkeypatch):
    monkeypatch.setattr(state, "reserved_requests", ChangingSet())
    monkeypatch.setattr(state, "task_ready", state.reserved_requests.discard)
    return Worker()


def test_items_of_one_slot_pass(worker):
    requests = [worker.get() for _ in range(9)]
    assert worker.started == requests, "Celery's pool has its own bounds"


@pytest.mark.parametrize("needs", [(2, 0), (1, 5), (3, 1)])
def test_what_does_not_fit_waits_for_an_end(worker, needs):
    first, second = worker.get(2, 5), worker.get(2, 1)
    third = worker.get(*needs)
    assert worker.started == [first, second]
    worker.end(first)
    if needs == (3, 1):
        assert worker.started == [first, second], "one slot is lacking"
        worker.end(second)
    assert worker.started == [first, second, third]
    assert worker.postponed == {}


def test_memory_alone_makes_an_item_wait(worker):
    first = worker.get(1, 6)
    second = worker.get(1, 5)
    assert worker.started == [first]
    worker.end(first)
    assert worker.started == [first, second]


def test_what_comes_behind_one_that_waits_goes_back(worker):
    first, large = worker.get(3), worker.get(2)
    behind = worker.get()
    assert worker.postponed == {behind: HIDDEN_SECONDS}
    assert behind.acknowledged
    worker.end(first)
    assert worker.started == [first, large]
    assert worker.get() in worker.started


def test_one_that_waits_for_long_goes_to_another_worker(worker):
    worker.get(3)
    large = worker.get(2)
    ((function, args),) = worker.timer
    function(*args)
    assert worker.postponed == {large: HIDDEN_SECONDS}
    assert worker.get() in worker.started


@pytest.mark.parametrize("needs", [(5, 0), (1, 11)])
def test_what_never_fits_goes_back_for_longer(worker, needs):
    request = worker.get(*needs)
    assert worker.postponed == {request: MISFIT_SECONDS}
    assert worker.started == []


def test_one_that_celery_has_forgotten_is_not_started(worker):
    first, large = worker.get(3), worker.get(2)
    state.reserved_requests.clear()
    worker.end(first)
    assert large not in worker.started
    assert worker.get(4) in worker.started


def test_what_items_take_stands_in_the_message_or_in_a_plain_task(worker):
    assert needs_of(Request(worker, 2, 7)) == (2, 7)
    assert needs_of(Request(worker)) == (1, 0)
    assert needs_of(Request(worker, 3, 1, plain=True)) == (3, 1)
    odd = Request(worker)
    odd.args[6:] = ["2", None]
    assert needs_of(odd) == (1, 0)


def test_what_took_much_and_is_gone_holds_nobody(worker):
    heavy = worker.get(3)
    light = worker.get()
    worker.end(heavy)
    worker.end(light)
    worker.started.clear()
    del heavy, light
    gc.collect()
    assert not worker.admission._heavy
