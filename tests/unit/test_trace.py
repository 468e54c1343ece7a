"""What a slot runs: every end that Celery leaves to the pool is an answer, which a pool can carry."""

import pickle

import pytest
from celery import Celery, current_app
from celery.exceptions import Ignore, Reject
from redis.exceptions import ConnectionError as RedisConnectionError
from redis.exceptions import ResponseError

from gristmill.worker.slot.trace import EndNotStored, run_to_end


@pytest.fixture
def app():
    app = Celery("traced", set_as_current=False, backend="cache+memory://")
    app.conf.task_ignore_result = False

    def seven():
        return 7

    app.task(seven, name="seven", shared=False)
    before = current_app._get_current_object()
    app.set_current()
    yield app
    before.set_current()


def run(app):
    """How the task `seven` ended: whether it failed, its value or error."""
    request = {"id": "one", "task": "seven", "hostname": "h", "delivery_info": {}}
    failed, value, _ = run_to_end("seven", "one", request, ((), {}, {}), None, None)
    error = pickle.loads(pickle.dumps(value)).exception if failed else None
    return failed, getattr(error, "exc", error) or value


def refuse(app, monkeypatch, *errors):
    """Have the backend raise these, one after the other, where a result is stored; then store."""
    every, states, store = list(errors), [], app.backend.store_result

    def store_result(identity, result, state, *args, **kwargs):
        if every:
            raise every.pop(0)
        states.append(state)
        return store(identity, result, state, *args, **kwargs)

    monkeypatch.setattr(app.backend, "store_result", store_result)
    return states


def test_a_task_ends_as_it_does_without(app, monkeypatch):
    states = refuse(app, monkeypatch)
    assert run(app) == (0, "7")
    assert states == ["SUCCESS"]


def test_an_error_that_passes_is_not_stored_as_the_failure_of_the_task(app, monkeypatch):
    states = refuse(app, monkeypatch, RedisConnectionError("away"))
    failed, error = run(app)
    assert (failed, type(error), error.passes, states) == (1, EndNotStored, True, [])
    assert "away" in error.reason


def test_one_that_does_not_pass_is(app, monkeypatch):
    states = refuse(app, monkeypatch, ResponseError("too large"))
    with pytest.warns(RuntimeWarning, match="outside body"):
        failed, error = run(app)
    assert (failed, type(error), states) == (1, ResponseError, ["FAILURE"]), error


def test_and_when_that_cannot_be_stored_either_the_end_is_not_stored(app, monkeypatch):
    refuse(app, monkeypatch, ResponseError("too large"), ResponseError("WRONGTYPE"))
    with pytest.warns(RuntimeWarning, match="outside body"):
        failed, error = run(app)
    assert (failed, type(error), error.passes) == (1, EndNotStored, False)
    assert "WRONGTYPE" in error.reason


def test_a_rejection_from_a_hook_is_one(app, monkeypatch):
    def reject(*_):
        raise Reject("no", requeue=True)

    monkeypatch.setattr(type(app.tasks["seven"]), "on_success", reject)
    failed, error = run(app)
    assert (failed, type(error), error.requeue) == (1, Reject, True)


class NeedsTwo(Exception):
    """Pickle cannot make it anew from its text."""

    def __init__(self, one, other):
        super().__init__(f"{one} and {other}")


class OddIgnore(Ignore, NeedsTwo):
    """The same, as Celery leaves it to the pool."""


@pytest.mark.parametrize("hook", ["__call__", "on_success"])
def test_an_error_that_the_worker_could_not_read_becomes_text(app, monkeypatch, hook):
    """The worker would end over it, and with it all that its other processes run."""

    def end_by(error):
        def end(*_, **__):
            raise error

        monkeypatch.setattr(type(app.tasks["seven"]), hook, end, raising=False)
        app.tasks["seven"].__trace__ = None
        return run(app)[1]

    rejection = end_by(Reject(NeedsTwo(1, 2), requeue=True))
    assert (rejection.reason, rejection.requeue) == ("1 and 2", True)
    assert type(end_by(Reject(ValueError("no"), requeue=True)).reason) is ValueError
    if hook == "__call__":
        assert str(end_by(OddIgnore(1, 2))) == "OddIgnore: 1 and 2"
