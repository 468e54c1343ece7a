"""`setup`: before the first item, outside of its time; while it fails, items wait, and the failure is told once."""

import logging
import re
import threading
import time

import pytest

from gristmill.batches.reader import ResultReader
from gristmill.fleet.registry import WorkerRegistry
from gristmill.tasks import catalog
from gristmill.tasks import setup as task_setup
from gristmill.tasks.setup import SetupFailed
from gristmill.worker.slot import preparation, runner
from gristmill.worker.slot.runner import Runner
from tests.support import setup_tasks
from tests.support.ledger import FIELDS, WORKER, info, pop

TASKS = {name: task for name, task in vars(setup_tasks).items() if hasattr(task, "retry_on")}


@pytest.fixture(autouse=True)
def tasks(here, monkeypatch):
    """The tasks are known, none of their setups has run, and nobody waits before another try."""
    catalog.load().update(TASKS)
    for task in TASKS.values():
        task.setup = task_setup.Setup(task.setup.function)
    setup_tasks.runs.clear()
    setup_tasks.orders.clear()
    monkeypatch.setattr(task_setup, "AGAIN_SECONDS", 0.0)
    monkeypatch.setattr(runner, "sleep", lambda _: None)


def submit(ledger, task, count, queue="cpu"):
    ledger.heartbeat(WORKER, {"queue": queue, "slots": 8}, [])
    ledger.create("b", "token", {**FIELDS, "queue": queue, "task": task, "is_async": int(queue == "io")})
    ledger.append("b", "token", 0, [str(n) for n in range(count)], "sha")
    ledger.end("b", "token", 0)


def run(ledger, queue="cpu", suspect=False):
    """Run the chunk of the next message."""
    Runner(ledger, ledger.settings).run(pop(ledger, queue), WORKER, suspect)


def failures(ledger):
    ledger.heartbeat(WORKER, {"queue": "cpu", "slots": 8}, [])
    (worker,) = WorkerRegistry(ledger.client, ledger.settings).workers()
    return worker.setup_failures


def values(ledger, count):
    results = ResultReader(ledger.client, ledger.settings, "b").in_order(0, count)
    return [(result.state, result.value) for result in results]


def test_it_runs_once_and_takes_nothing_of_an_items_time(here):
    submit(here, "after_slow", 3)
    while info(here, "b").left:
        run(here)
    assert values(here, 3) == [("succeeded", n) for n in range(3)], "the time limit is shorter than the setup"
    assert setup_tasks.runs == ["slow"]


def test_slots_of_one_process_run_it_once(here):
    submit(here, "after_slow", 8)
    threads = [threading.Thread(target=run, args=(here,)) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert setup_tasks.runs == ["slow"]


def test_while_it_fails_items_wait_and_it_is_told_once(here, caplog):
    submit(here, "after_obedient", 3)
    setup_tasks.orders["obedient"] = "fail"
    with caplog.at_level(logging.ERROR, "gristmill.worker.slot.preparation"):
        for _ in range(3):
            run(here)
    assert (info(here, "b").left, info(here, "b").failed) == (3, 0)
    assert len(setup_tasks.runs) == 3
    assert failures(here) == {"after_obedient": "LookupError in obedient(): no model here"}
    (record,) = caplog.records
    assert record.exc_info[0] is LookupError
    setup_tasks.orders.clear()
    while info(here, "b").left:
        run(here)
    assert values(here, 3) == [("succeeded", n) for n in range(3)]
    assert failures(here) == {}


def test_a_failure_from_before_the_success_of_another_process_is_no_news(here):
    """Two processes of a worker tried: the one that failed first tells it last."""
    registry = WorkerRegistry(here.client, here.settings)
    before = time.time()
    assert not registry.note_setup(WORKER, "after_obedient", None, before)
    assert not registry.note_setup(WORKER, "after_obedient", "no model", before - 1)
    assert failures(here) == {}
    assert registry.note_setup(WORKER, "after_obedient", "no model", time.time() + 1)
    assert failures(here) == {"after_obedient": "no model"}


def test_an_error_that_is_no_utf8_is_told(here, monkeypatch):
    # pytest-xdist cannot pass on such a line of the log.
    monkeypatch.setattr(preparation.log, "disabled", True)
    submit(here, "after_obedient", 1)
    setup_tasks.orders["obedient"] = "fail oddly"
    run(here)
    assert failures(here) == {"after_obedient": "LookupError in obedient(): no model ? here"}


@pytest.mark.parametrize(("order", "words"), [("fail", "LookupError in obedient()"), ("die", "exit code 7")])
def test_in_quarantine_it_makes_no_item_dead(here, monkeypatch, order, words):
    monkeypatch.setenv("GRISTMILL_TASK_MODULES", "tests.support.setup_tasks")
    monkeypatch.setenv("TEST_SETUP", order)
    submit(here, "after_obedient", 1)
    with pytest.raises(SetupFailed, match=re.escape(words)):
        run(here, suspect=True)
    assert (info(here, "b").left, info(here, "b").dead) == (1, 0)
    assert words in failures(here)["after_obedient"]
    assert setup_tasks.runs == [], "not in this process"


def test_a_suspect_runs_after_its_setup(here, monkeypatch):
    monkeypatch.setenv("GRISTMILL_TASK_MODULES", "tests.support.setup_tasks")
    submit(here, "after_slow", 1)
    run(here, suspect=True)
    assert values(here, 1) == [("succeeded", 0)]


def test_a_coroutine_function_runs_on_the_loop_of_the_items(here):
    submit(here, "after_loop", 2, "io")
    while info(here, "b").left:
        run(here, "io")
    loops = {value for _, value in values(here, 2)}
    assert [f"loop {loop}" for loop in loops] == setup_tasks.runs


def test_a_coroutine_in_quarantine_has_one_loop_for_both():
    assert preparation.prepare_named("after_loop") == ("", 0.0)
    assert setup_tasks.runs == [f"loop {id(preparation.own_loop().get_loop())}"]


def test_a_worker_preloads_what_its_queues_have(here, monkeypatch):
    monkeypatch.setattr(TASKS["after_slow"], "preload", True)
    monkeypatch.setattr(TASKS["after_obedient"], "preload", True)
    setup_tasks.orders["obedient"] = "fail"
    preparation.preload({"io"}, WORKER, here.client)
    assert setup_tasks.runs == []
    preparation.preload({"cpu"}, WORKER, here.client)
    assert sorted(setup_tasks.runs) == ["obedient", "slow"]
    assert list(failures(here)) == ["after_obedient"], "the worker starts all the same"
    preparation.preload({"cpu"}, WORKER, here.client)
    assert sorted(setup_tasks.runs) == ["obedient", "obedient", "slow"]


def test_a_plain_celery_call_runs_it_in_a_worker_only():
    task = TASKS["after_obedient"]
    assert (task(3), setup_tasks.runs) == (3, [])
    assert (task.apply((3,)).get(), setup_tasks.runs) == (3, ["obedient"])
