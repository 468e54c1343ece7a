"""Workflows in Python: batches that follow others, with tasks that run on a runner of this process."""

import asyncio

import pytest

from gristmill import State, aio, open_batch
from gristmill import submit as submit_anywhere
from gristmill.config.settings import settings
from gristmill.errors import InputError
from gristmill.fleet.registry import WorkerRegistry
from gristmill.tasks.schema import ItemError
from gristmill.worker.slot.runner import Runner
from tests.support.ledger import WORKER, enlist, pop
from tests.support.workflow_tasks import label, large, length, links, positive, report, report_later

LARGE = (1 << 20) + 1
TASKS = (label, large, length, links, positive, report, report_later)


@pytest.fixture
def fleet(here):
    enlist(here)
    here.heartbeat("io@a", {"queue": "io", "slots": 4}, [])
    registry = WorkerRegistry(here.client, here.settings)
    for worker in (WORKER, "io@a"):
        registry.announce(worker, {task.name: task.announcement for task in TASKS})
    return here


def submit_batch(task, items, **options):
    """Submit a batch with the priority of those that `pop` takes."""
    return submit_anywhere(task, items, priority=0, **options)


def run_all(ledger):
    runner = Runner(ledger, settings())
    while chunk := pop(ledger) or pop(ledger, "io"):
        runner.run(chunk, WORKER)


def test_fetch_parse_and_report(fleet):
    pages = submit_batch(links, [3, 0, 13, 2], name="pages")
    parsed = submit_batch(positive, pages, name="parsed", flatten=True)
    last = submit_batch(report, [parsed], name="report", after=[(parsed, "ended")])
    strict = submit_batch(report, [parsed], name="strict", after=parsed)
    later = submit_batch(report_later, ["parsed"], after="parsed:ended")
    assert last.info().state is State.WAITING
    run_all(fleet)
    assert (pages.info().state, parsed.info().submitted, parsed.info().failed) == (State.FAILED, 5, 2)
    assert list(last.values()) == [{"items": 3, "total": 4}]
    assert list(later.values()) == [4]
    assert (strict.info().state, strict.info().reason) == (State.CANCELLED, "parsed failed")
    assert [(one.input, one.state) for one in last.results(follow=False)] == [("parsed", "succeeded")]
    assert (parsed.info().from_batch, last.info().after) == ("pages", ("parsed:ended",))
    again = submit_batch(positive, pages, name="parsed", flatten=True)
    assert again.info().submitted == 5


def test_a_value_that_does_not_fit_fails_its_item_alone(fleet):
    source = submit_batch(label, [{"link": {"number": 1}}, {"link": {"number": 2}, "word": "7"}], name="labels")
    lengths = submit_batch(length, source, name="lengths")
    numbers = submit_batch(positive, source, name="numbers")
    run_all(fleet)
    assert list(lengths.values()) == [8, 3]
    errors = [result.error for result in numbers.results()]
    assert {error["type"] for error in errors} == {ItemError.__name__}
    assert "number 1" in errors[0]["message"]


def test_an_object_is_one_of_arguments_or_the_value_of_a_parameter_that_takes_objects(fleet):
    source = submit_batch(links, [2], name="links")
    positive_numbers = submit_batch(positive, source, flatten=True)
    labels = submit_batch(label, source, set={"word": "no."}, flatten=True)
    run_all(fleet)
    assert sorted(result.state for result in positive_numbers) == ["failed", "succeeded"]
    assert list(labels.values()) == ["no. 0", "no. 1"]


def test_values_in_files_are_items_too(fleet, tmp_path, monkeypatch):
    monkeypatch.setenv("GRISTMILL_DATA_ROOT", str(tmp_path))
    monkeypatch.setenv("GRISTMILL_SHARED_DATA_ROOT", "true")
    settings.cache_clear()
    source = submit_batch(large, [LARGE, 5], name="large")
    lengths = submit_batch(length, source, name="lengths")
    run_all(fleet)
    assert sorted(lengths.values()) == [5, LARGE]
    settings.cache_clear()


def test_failed_items_by_their_state(fleet):
    source = submit_batch(links, [1, 13, 2], name="links")
    again = submit_batch(links, source, name="again", state="failed,dead")
    run_all(fleet)
    assert [result.input for result in again] == [13]


def test_results_come_in_the_order_of_the_values(fleet):
    pages = submit_batch(links, [3, 13, 2], name="pages")
    parsed = submit_batch(positive, pages, name="parsed", flatten=True)
    run_all(fleet)
    in_order = [(one.index, one.input, one.state) for one in parsed.results(in_order=True, max_wait=20)]
    states = ["failed", "succeeded", "succeeded", "failed", "succeeded"]
    assert in_order == [(i, {"number": n}, s) for i, n, s in zip(range(5), (0, 1, 2, 0, 1), states, strict=True)]


def test_names_and_options_that_are_not_valid(fleet):
    source = submit_batch(links, [1], name="links")
    for options in (
        {"after": "none"},
        {"after": (source, "finished")},
        {"after": 3},
        {"items": [1], "flatten": True},
        {"items": [1], "state": "failed"},
        {"items": source, "state": "cancelled"},
    ):
        with pytest.raises(InputError):
            submit_batch(links, **{"items": [1], **options})
    with pytest.raises(InputError) as caught:
        submit_batch(report, ["none"])
    assert "'none'" in str(caught.value)
    with pytest.raises(InputError):
        submit_batch(report, [3])


def test_the_same_awaited(fleet):
    async def submit_all():
        pages = await aio.submit(links, [2, 3], name="pages", priority=0)
        parsed = await aio.submit(positive, pages, name="parsed", flatten=True, priority=0)
        return await aio.submit(report, [parsed], after=(parsed, "ended"), priority=0)

    last = asyncio.run(submit_all())
    run_all(fleet)
    assert list(open_batch(last.name).values()) == [{"items": 3, "total": 4}]
