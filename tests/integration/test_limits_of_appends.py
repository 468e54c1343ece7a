"""Limits by value where items come by appends and by schedules, on a real server."""

import pytest

from gristmill import cpu, open_batch, schedule, submit
from gristmill.errors import InputError
from gristmill.fleet.registry import WorkerRegistry
from gristmill.worker.runner import Runner
from tests.support.ledger import WORKER, enlist, info, pop

LIMITS = {"limit_by": "customer", "max_running": 1, "priority": 0}


@cpu(name="limits_of_appends.visit")
def visit(customer: str, n: int = 0) -> str:
    """Return it."""
    return f"{customer}{n}"


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
        WORKER, {task.name: task.announcement for task in (visit, polite)}
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


def test_the_values_of_a_batch_are_limited_by_none(fleet):
    submit(visit, ["a"], name="first", priority=0)
    with pytest.raises(InputError, match="limit_by"):
        submit(visit, open_batch("first"), name="second", **LIMITS)
