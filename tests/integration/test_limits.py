"""What bounds the items of a batch, on a real server."""

import json

import pytest

from gristmill.tasks import catalog
from gristmill.worker.runner import Runner
from tests.support.ledger import FIELDS, WORKER, enlist, info, pop
from tests.support.limited_tasks import dozing, sleepy


@pytest.fixture
def run(here, monkeypatch):
    """Runs the one item of a batch of a task; its outcome."""
    monkeypatch.setenv("GRISTMILL_TASK_MODULES", "tests.support.limited_tasks")
    catalog.load().update({task.name: task for task in (sleepy, dozing)})

    def run(task, suspect=False, **fields):
        enlist(here)
        is_async = {"is_async": 1} if task.is_async else {}
        here.create("b", "token", {**FIELDS, "task": task.name, "parameter": "seconds", **is_async, **fields})
        here.append("b", "token", 0, ["0.3"], "sha")
        Runner(here, here.settings).run(pop(here), WORKER, suspect)
        header, value = here.client.hget(here.key("b", "out:0"), "0").split("\n")
        return json.loads(header)["state"], json.loads(value)

    return run


@pytest.mark.parametrize("task", [sleepy, dozing], ids=["process", "coroutine"])
class TestTimeLimitOfABatch:
    @pytest.mark.parametrize("suspect", [False, True], ids=["", "in quarantine"])
    def test_it_wins_over_the_tasks(self, here, run, task, suspect):
        assert run(task, suspect, time_limit=30, retries=0) == ("succeeded", 0.3)
        assert info(here, "b").time_limit == 30

    @pytest.mark.parametrize(("limit", "words"), [({"time_limit": 0.2}, "0.2 s"), ({}, "0.1 s")])
    def test_the_item_ends_at_it_or_at_the_tasks(self, run, task, limit, words):
        state, error = run(task, retries=0, **limit)
        assert (state, error["type"]) == ("failed", "TimeLimitExceeded")
        assert words in error["message"]

    def test_0_is_no_limit(self, run, task):
        assert run(task, time_limit=0, retries=0) == ("succeeded", 0.3)
