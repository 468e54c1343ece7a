"""Reading a batch on a real server: values in order, results by state, limits of waits, and a server that goes away."""

import json
from datetime import date, timedelta

import pytest

from gristmill import Batch, State, batches, cpu, open_batch
from gristmill import submit as gristmill_submit
from gristmill.batches.chunk import Outcome
from gristmill.batches.ledger import Ledger
from gristmill.config.settings import load, settings
from gristmill.errors import BatchCancelled, InputError, ItemFailed, ServerError
from gristmill.fleet.announcement import Announcement
from gristmill.fleet.registry import WorkerRegistry
from gristmill.producer.task_versions import task_versions
from gristmill.producer.worker_checks import check_workers
from gristmill.server.connection import connect
from gristmill.server.home import Home
from gristmill.server.private import PrivateServer
from gristmill.server.waiting import Policy
from gristmill.tasks.application import app
from gristmill.tasks.remote import RemoteTask
from tests.support.ledger import FIELDS, WORKER, heartbeat, outcomes, pop, run_all, submit


def record(ledger, failing=()):
    """Run the chunks that are on the queue; the items `failing` fail."""
    while chunk := pop(ledger):
        items = ledger.take(chunk).items
        done = [outcomes([item], "failed" if item.index in failing else "succeeded")[0] for item in items]
        ledger.record(chunk, done, 0.001, WORKER)


def test_values_come_in_the_order_of_the_items(here):
    submit(here, "b", 250)
    run_all(here)
    batch = open_batch("b")
    assert list(batch.values()) == list(range(250))
    assert [result.index for result in batch] == [result.index for result in batch.results()]
    assert sorted(result.index for result in batch) == list(range(250))
    assert [info.name for info in batches()] == ["b"]


def test_the_first_item_without_a_value_ends_them(here):
    submit(here, "b", 10)
    record(here, failing={3, 5})
    values = open_batch("b").values()
    assert [next(values) for _ in range(3)] == [0, 1, 2]
    with pytest.raises(ItemFailed) as failed:
        next(values)
    assert (failed.value.result.index, failed.value.result.state) == (3, "failed")
    assert "item 3 of batch 'b'" in str(failed.value)


def test_a_cancelled_item_ends_them_too(here):
    submit(here, "b", 10)
    open_batch("b").cancel()
    with pytest.raises(ItemFailed, match=r"item 0 .*cancelled"):
        list(open_batch("b").values())


def test_a_batch_that_was_cancelled_while_it_was_submitted_has_not_all_values(here):
    here.heartbeat(WORKER, heartbeat(), [])
    here.create("b", "token", FIELDS)
    here.append("b", "token", 0, ["0", "1", "2", "3"], "sha4")
    run_all(here)
    open_batch("b").cancel()
    values = open_batch("b").values()
    assert [next(values) for _ in range(4)] == [0, 1, 2, 3]
    with pytest.raises(BatchCancelled, match="'b'"):
        next(values)


def test_values_that_were_consumed_are_missed(here):
    submit(here, "b", 10)
    run_all(here)
    batch = open_batch("b")
    assert len(list(batch.results(consume=True))) == 10
    with pytest.raises(InputError, match="item 0 of batch 'b'"):
        list(batch.values())


@pytest.fixture
def day_after():
    @cpu(name="day_after")
    def day_after(n: int) -> date:
        """The n-th day after a day."""
        return date(2026, 11, 27) + timedelta(n)

    yield day_after
    app.tasks.pop("day_after")


def test_values_are_of_the_type_that_the_task_returns(here, day_after):
    submit(here, "b", 2, task="day_after")
    batch = Batch("b", here, day_after.return_type.read)
    texts = ['"2026-11-28"', '"no day"']
    while chunk := pop(here):
        items = here.take(chunk).items
        done = [Outcome(item.index, "succeeded", 1, texts[item.index], 0.001, WORKER, 1, None) for item in items]
        here.record(chunk, done, 0.001, WORKER)
    values = batch.values()
    assert next(values) == date(2026, 11, 28)
    with pytest.raises(InputError, match=r"item 1 of batch 'b'.*no day.*date"):
        next(values)
    for results in (batch.results(in_order=True), batch.results(follow=False), iter(batch)):
        result = next(results)
        assert (result.value, json.loads(result.to_json())["value"]) == (date(2026, 11, 28), "2026-11-28")
        with pytest.raises(InputError, match=r"item 1 of batch 'b'.*no day.*date"):
            next(results)
    assert [result.value for result in open_batch("b")] == ["2026-11-28", "no day"]
    assert list(open_batch("b").values()) == ["2026-11-28", "no day"]
    here.client.delete(here.settings.key("workers"), here.settings.key("heartbeats"))
    assert gristmill_submit(day_after, [1]).read == day_after.return_type.read


def test_results_by_state(here):
    submit(here, "b", 6)
    record(here, failing={1, 4})
    batch = open_batch("b")
    assert [result.index for result in batch.results(state="failed", in_order=True)] == [1, 4]
    assert [result.index for result in batch.results(state=("dead", "succeeded"), follow=False)] == [0, 2, 3, 5]
    for options in ({"state": "lost"}, {"consume": True, "follow": False}, {"consume": True, "state": "failed"}):
        with pytest.raises(InputError):
            batch.results(**options)


def test_a_wait_has_a_limit_and_a_deleted_batch_is_gone(here):
    submit(here, "b", 3)
    batch = open_batch("b")
    for wait in (batch.wait, batch.values, batch.results):
        with pytest.raises(TimeoutError, match="'b'"):
            list(wait(max_wait="0.1s"))
    assert batch.pause()
    assert batch.info().state is State.PAUSED
    batch.delete()
    with pytest.raises(InputError, match="'b'"):
        batch.info()


def test_a_server_that_goes_away_is_one_error(tmp_path, monkeypatch):
    with PrivateServer(Home(tmp_path), load({})) as server:
        monkeypatch.setenv("GRISTMILL_REDIS_URL", server.url)
        settings.cache_clear()
        # A client that gives up at once.
        ledger = Ledger(connect(server.url, Policy(0.1)), settings())
        submit(ledger, "b", 3)
        run_all(ledger)
        batch = Batch("b", ledger)
        assert sorted(batch.values()) == [0, 1, 2]
    try:
        for call in (batch.info, batch.wait, batch.retry, batch.cancel, batch.pause, batch.resume, batch.delete):
            with pytest.raises(ServerError):
                call()
        for values in (batch.values(), batch.results(), iter(batch)):
            with pytest.raises(ServerError):
                list(values)
        with pytest.raises(ServerError):
            list(batch.results(follow=False))
    finally:
        settings.cache_clear()


class TestVersions:
    NAMES = ("cpu@a", "cpu@b", "cpu@c")

    def announce(self, ledger, versions):
        registry = WorkerRegistry(ledger.client, ledger.settings)
        for name, modules in zip(self.NAMES, versions, strict=True):
            ledger.heartbeat(name, {**heartbeat(), **self.fields(name)}, [])
            registry.announce(name, {"t": Announcement("+".join(modules.values()), "cpu", {"n": True}, 0, modules)})
        return registry.workers()

    def fields(self, name):
        numbers = dict.fromkeys(("pid", "busy", "items"), 0)
        return {"host": name[-1], "pool": "prefork", "rate": 0.0, **numbers}

    def test_hosts_that_differ_are_named_with_the_modules(self, here):
        one, other = {"jobs": "1", "rates": "1"}, {"jobs": "1", "rates": "2"}
        workers = self.announce(here, [one, other, one])
        (difference,) = task_versions(here.client, workers)
        assert (difference.task, difference.versions) == ("t", 2)
        assert "cpu@b differ from cpu@a (module rates differs)" in difference.advice

    def test_one_version_is_no_difference(self, here):
        assert list(task_versions(here.client, self.announce(here, [{"jobs": "1"}] * 3))) == []

    def test_a_producer_is_told_too(self, here):
        self.announce(here, [{"jobs": "1"}, {"jobs": "2"}, {"jobs": "1"}])
        task = RemoteTask.of("t", Announcement("1", "cpu", {"n": True}, 0, {"jobs": "1"}))
        (warning,) = check_workers(task)
        assert "cpu@b" in warning
        assert "'t' (module jobs differs)" in warning
        with pytest.raises(InputError, match="'other'"):
            check_workers(RemoteTask.of("other", Announcement("1", "cpu")))
        assert check_workers(task, "io") == []

    def test_a_task_that_no_worker_could_tell_of_is_no_fault_of_the_input(self, here):
        with pytest.raises(ServerError, match="thumbnail"):
            gristmill_submit("thumbnail", ["a.jpg"])
        self.announce(here, [{"jobs": "1"}] * 3)
        with pytest.raises(InputError, match="thumbnail"):
            gristmill_submit("thumbnail", ["a.jpg"])
