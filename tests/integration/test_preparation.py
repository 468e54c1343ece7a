"""`setup`: before the first item, outside of its time; while it fails, items wait, and the failure is told once."""

import asyncio
import logging
import os
import re
import sys
import threading
import time

import pytest

from gristmill.batches.reader import ResultReader
from gristmill.config.settings import settings
from gristmill.fleet.registry import WorkerRegistry
from gristmill.tasks import catalog
from gristmill.tasks import setup as task_setup
from gristmill.tasks.setup import Setup, SetupFailed
from gristmill.worker.limits import setup_seconds
from gristmill.worker.restoration.state import process_state
from gristmill.worker.runs.rows import VARIABLE, RunRows
from gristmill.worker.slot import chunk_task, preparation, runner
from gristmill.worker.slot.quarantine import QuarantineUnavailable
from gristmill.worker.slot.runner import Runner
from gristmill.worker.slot.trace import RunLater
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


@pytest.mark.parametrize(
    ("name", "order", "queue"), [("after_obedient", "obedient", "cpu"), ("after_loop", "on_loop", "io")]
)
def test_it_has_a_time_limit_and_the_item_waits(here, monkeypatch, name, order, queue):
    monkeypatch.setenv("GRISTMILL_TIME_LIMIT", "0.2")
    settings.cache_clear()
    submit(here, name, 1, queue)
    setup_tasks.orders[order] = "sleep"
    run(here, queue)
    assert (info(here, "b").left, info(here, "b").failed) == (1, 0)
    assert "the setup ran longer than its time limit of 0.2 s" in failures(here)[name]
    setup_tasks.orders.clear()
    run(here, queue)
    assert (info(here, "b").succeeded, failures(here)) == (1, {})


@pytest.mark.parametrize(
    ("setting", "own", "seconds"), [(3600, None, 3600), (60, 0.2, 60), (60, 90, 90), (0, 90, 0), (60, 0, 0)]
)
def test_its_time_limit_is_the_longer_one_of_the_setting_and_the_task(here, monkeypatch, setting, own, seconds):
    monkeypatch.setattr(TASKS["after_obedient"], "time_limit", own)
    assert setup_seconds(TASKS["after_obedient"], here.settings.model_copy(update={"time_limit": setting})) == seconds


def test_while_it_runs_others_see_what_the_item_waits_for(here, monkeypatch):
    rows = RunRows()
    monkeypatch.setenv(VARIABLE, "")
    rows.make(1, [0])
    monkeypatch.setattr(preparation, "run_rows", rows)
    monkeypatch.setattr(runner, "run_rows", rows)
    seen = []
    monkeypatch.setattr(TASKS["after_obedient"], "setup", task_setup.Setup(lambda: seen.extend(rows.table.runs())))
    submit(here, "after_obedient", 1)
    run(here)
    ((batch, index, pid, limit),) = [(each.batch, each.index, each.pid, each.limit) for each in seen]
    assert (batch, index, pid, limit) == ("b", 0, os.getpid(), here.settings.time_limit)
    assert str(seen[0].progress) == "setup: <lambda>"
    assert list(rows.table.runs()) == []


@pytest.mark.skipif(sys.platform != "linux", reason="needs Linux")
@pytest.mark.parametrize(
    ("order", "words"),
    [("fail", "LookupError in obedient()"), ("die", "exit code 7"), ("stop", "longer than its time limit of 0.2 s")],
)
def test_in_quarantine_it_makes_no_item_dead(here, monkeypatch, order, words):
    monkeypatch.setenv("GRISTMILL_TASK_MODULES", "tests.support.setup_tasks")
    monkeypatch.setenv("TEST_SETUP", order)
    monkeypatch.setenv("GRISTMILL_TIME_LIMIT", "0.2")
    monkeypatch.setattr(preparation, "GRACE_SECONDS", 1)
    settings.cache_clear()
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


def test_a_process_of_quarantine_that_ended_a_setup_at_its_limit_is_not_used_again(monkeypatch):
    """A coroutine goes on beside the next attempt, and a function has left what it began."""

    async def endless():
        await asyncio.sleep(60)

    monkeypatch.setattr(process_state, "is_spent", False)
    monkeypatch.setattr(TASKS["after_loop"], "setup", Setup(endless))
    assert "longer than its time limit of 0.1 s" in preparation.prepare_named("after_loop", 0.1)[0]
    assert process_state.is_spent


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


def test_a_worker_says_that_it_waits_for_a_preload(here, monkeypatch, caplog):
    monkeypatch.setattr(TASKS["after_slow"], "preload", True)
    monkeypatch.setattr(preparation, "SLOW_SECONDS", 0.01)
    preparation.preload({"cpu"}, WORKER, here.client)
    assert [record.getMessage() for record in caplog.records if record.levelno == logging.WARNING] == [
        "this worker takes no messages yet: the setup of task after_slow, which it preloads, has run for 0.01 s"
    ]


def test_slots_do_not_wait_for_ever_for_the_one_in_which_it_runs():
    ends, begun = threading.Event(), threading.Event()
    setup = task_setup.Setup(lambda: (begun.set(), ends.wait(60)))
    first = threading.Thread(target=setup.run)
    first.start()
    assert begun.wait(60)
    with pytest.raises(SetupFailed, match="has not ended in another slot"):
        setup.run(0.01)
    ends.set()
    first.join(60)
    assert not setup.run(0.01), "it has run"


def test_a_plain_celery_call_runs_it_in_a_worker_only():
    task = TASKS["after_obedient"]
    assert (task(3), setup_tasks.runs) == (3, [])
    assert (task.apply((3,)).get(), setup_tasks.runs) == (3, ["obedient"])


@pytest.mark.parametrize("error", [SetupFailed("no model", 0.0), QuarantineUnavailable("no process")])
def test_a_suspect_that_cannot_begin_leaves_its_slot_to_others(monkeypatch, error):
    """What comes back at once is taken before all that is new."""

    class Refusing:
        def run(self, *_):
            raise error

    monkeypatch.setattr(chunk_task, "_runner", Refusing)
    chunk_task.run_chunk.push_request(hostname=WORKER.partition("/")[0], gm_returns=2)
    try:
        with pytest.raises(RunLater, match=str(error)):
            chunk_task.run_chunk.run(chunk_task.MESSAGE_VERSION, "b", 1, 0, 1)
    finally:
        chunk_task.run_chunk.pop_request()
