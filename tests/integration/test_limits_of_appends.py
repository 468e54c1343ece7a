"""Limits by value where items come by appends and by schedules, on a real server."""

import json
import os
from collections import Counter
from pathlib import Path

import pytest

from gristmill import cpu, open_batch, schedule, submit
from gristmill.fleet.registry import WorkerRegistry
from gristmill.producer.batch_options import BatchOptions
from gristmill.producer.new_submission import new_submission
from gristmill.producer.values import source_of
from gristmill.tasks.remote import RemoteTask
from gristmill.worker.restoration.state import process_state
from gristmill.worker.slot.runner import Runner
from tests.support.grandchildren import in_fork
from tests.support.ledger import FIELDS, WORKER, enlist, info, pop

LIMITS = {"limit_by": "customer", "max_running": 1, "priority": 0}


@cpu(name="limits_of_appends.visit")
def visit(customer: str, n: int = 0) -> str:
    """Return it."""
    return f"{customer}{n}"


def careless(customer: str) -> str:
    """Change what belongs to the process, and leave a copy of it."""
    os.chdir("/")
    os.umask(0o777)
    os.environ["CARELESS"] = customer
    json.dumps = str
    if copy := os.fork():
        os.waitpid(copy, 0)
    return customer


@cpu(name="limits_of_appends.careless", max_running=1, limit_by=careless)
def of_careless(customer: str) -> str:
    """Return it."""
    return customer


def town(customer: str) -> str:
    """Where a customer lives."""
    return customer.split("-", maxsplit=1)[0]


@cpu(name="limits_of_appends.polite", max_running=1, limit_by="customer")
def polite(customer: str) -> str:
    """Return it."""
    return customer


def customers(ledger, name):
    """Whose items are in flight."""
    items = [text.strip('"') for _, text in ledger.items(name)]
    flights = ledger.client.zrange(ledger.key(name, "in_flight"), 0, -1)
    return sorted(items[int(chunk.partition(":")[0])] for chunk in flights)


@pytest.fixture
def fleet(here):
    enlist(here)
    WorkerRegistry(here.client, here.settings).announce(
        WORKER, {task.name: task.announcement for task in (visit, polite, of_town, of_careless)}
    )
    return here


def end_one(ledger):
    Runner(ledger, ledger.settings).run(pop(ledger), WORKER)


def test_items_of_several_appends_are_limited_together(fleet):
    batch = submit(visit, ["a", "a", "b"], name="o", append=True, **LIMITS)
    assert customers(fleet, "o") == ["a", "b"]
    batch.append(["c", "b", "a"])
    assert customers(fleet, "o") == ["a", "b", "c"]
    while pop(fleet, stays=True):
        end_one(fleet)
        running = customers(fleet, "o")
        assert len({*running}) == len(running)
    batch.close()
    assert (info(fleet, "o").succeeded, info(fleet, "o").left) == (6, 0)


def test_what_is_there_already_moves_no_value(fleet):
    batch = submit(visit, ["a", "b"], name="o", append=True, dedupe_by="customer", **LIMITS)
    batch.append(["b", "a", "c", "c", "d"])
    assert [text for _, text in fleet.items("o")] == [f'"{name}"' for name in "abcd"]
    stored = fleet.client.get(fleet.key("o", "limit_values"))
    alone = submit(visit, list("abcd"), name="p", **LIMITS)
    assert stored == fleet.client.get(fleet.key(alone.name, "limit_values"))


def test_a_batch_keeps_the_name_that_it_was_made_with(fleet):
    submit(visit, ["a"], name="o", append=True, priority=0)
    submit(visit, ["a", "a"], name="o", append=True, **LIMITS)
    assert fleet.client.exists(fleet.key("o", "limit_values")) == 0
    assert customers(fleet, "o") == ["a", "a", "a"]


def test_a_tasks_limits_hold_over_a_batch_an_append_and_a_schedule(fleet):
    submit(polite, ["a", "b"], name="plain", priority=0)
    submit(polite, ["a", "c"], name="o", append=True, priority=0)
    run = schedule(polite, ["a", "c", "d"], name="s", every=60, priority=0).run()
    assert [customers(fleet, name) for name in ("plain", "o", run.name)] == [["a", "b"], ["c"], ["d"]]


def test_each_run_of_a_schedule_is_limited_by_its_own(fleet):
    made = schedule(visit, ["a", "a", "b"], name="s", every=60, **LIMITS)
    runs = [made.run()]
    assert customers(fleet, runs[0].name) == ["a", "b"]
    fleet.delete(runs[0].name)
    made.delete()
    assert list(fleet.client.scan_iter(fleet.settings.key("*limit_values*"))) == []


@cpu(name="limits_of_appends.town", max_running=1, limit_by=town)
def of_town(customer: str) -> str:
    """Return it."""
    return customer


def told(ledger, name, count):
    """By what each item is limited; zeros where nobody has told it."""
    text = ledger.client.get(ledger.key(name, "limit_values")) or ""
    texts = [text[12 * index : 12 * index + 12] for index in range(count)]
    return [text if text.isalnum() else "0" * 12 for text in texts]


def run_all(ledger, *batches):
    """Run what is handed out until the batches end; the most items of a customer that were in flight at once."""
    most = 0
    while any(info(ledger, name).left for name in batches):
        end_one(ledger)
        for name in batches:
            in_flight = Counter(customers(ledger, name))
            most = max(most, *in_flight.values(), 0)
    return most


@pytest.mark.parametrize("task", [visit, polite], ids=["of the batch", "of the task"])
def test_the_values_of_a_batch_are_limited_too(fleet, task):
    submit(visit, [*"aaabbc"], name="first", priority=0)
    submit(task, open_batch("first"), name="second", **(LIMITS if task is visit else {"priority": 0}))
    while info(fleet, "first").left:
        end_one(fleet)
    # Slots tell what they are limited by, before any of them runs.
    while any(text == "0" * 12 for text in told(fleet, "second", 6)):
        end_one(fleet)
    assert info(fleet, "second").done == 0
    assert customers(fleet, "second") == ["a0", "b0", "c0"]
    assert run_all(fleet, "second") == 1
    assert (info(fleet, "second").succeeded, info(fleet, "second").duplicates) == (6, 0)


def test_a_program_without_the_module_has_workers_derive_the_values(fleet):
    remote = RemoteTask.of(of_town.name, of_town.announcement)
    items = source_of(["x-1", "x-2", "y-1"], has_one=False)
    new_submission(remote, items, name="b", options=BatchOptions.of(priority=0)).send()
    assert fleet.client.exists(fleet.key("b", "limit_values")) == 0
    end_one(fleet)
    assert customers(fleet, "b") == ["x-1", "y-1"]
    run_all(fleet, "b")
    assert info(fleet, "b").succeeded == 3


def test_what_a_function_changes_while_it_tells_the_values_is_undone(fleet):
    fleet.client.connection_pool.disconnect()

    def tell():
        process_state.begin()
        end_one(fleet)
        mask = os.umask(0)
        return str(Path.cwd()), mask, "CARELESS" in os.environ, json.dumps is str

    remote = RemoteTask.of(of_careless.name, of_careless.announcement)
    items = source_of(["x", "y"], has_one=False)
    new_submission(remote, items, name="b", options=BatchOptions.of(priority=0)).send()
    mask = os.umask(0)
    os.umask(mask)
    assert in_fork(tell) == repr((str(Path.cwd()), mask, False, False))
    assert customers(fleet, "b") == ["x", "y"]
    run_all(fleet, "b")
    assert info(fleet, "b").succeeded == 2


def test_items_of_which_no_value_can_be_told_fail_on_their_own(fleet):
    limits = {"task_limit_by": "town", "task_max_running": "1"}
    fleet.create("b", "token", {**FIELDS, "task": of_town.name, "parameter": "customer", **limits})
    fleet.append("b", "token", 0, ["7", '"x-1"', '{"nothing": 1}'], "sha")
    fleet.end("b", "token", 0)
    end_one(fleet)
    run_all(fleet, "b")
    assert (info(fleet, "b").succeeded, info(fleet, "b").failed) == (1, 2)
