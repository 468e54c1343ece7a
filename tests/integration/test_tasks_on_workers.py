"""The tasks that workers announce, beside those of this process: names in errors, and code that differs."""

import logging

import pytest

from gristmill import open_batch
from gristmill.cli import doctor
from gristmill.errors import InputError
from gristmill.fleet.announcement import Announcement
from gristmill.fleet.registry import WorkerRegistry
from gristmill.producer.task_lookup import find_task
from gristmill.tasks.catalog import find
from tests.support.ledger import heartbeat, outcomes, pop, submit

WORKER = "cpu@vm/1"
MODULE = "gristmill.tasks.fibonacci"


def work(ledger, **tasks):
    """A worker on the queue cpu announces tasks."""
    fields = {"host": "vm", "pool": "prefork", "rate": 0.0, **dict.fromkeys(("pid", "busy", "items"), 0)}
    ledger.heartbeat(WORKER, {**heartbeat(), **fields}, [])
    registry = WorkerRegistry(ledger.client, ledger.settings)
    registry.announce(WORKER, tasks)
    return registry.workers()


def old_fibonacci():
    """What a worker announces that has the task's module as it was before an edit."""
    modules = {**find("fibonacci").modules, MODULE: "0"}
    return Announcement("old", "cpu", {"n": True}, 0, modules)


def test_a_mistyped_name_is_matched_with_the_workers_tasks(here):
    work(here, square=Announcement("1", "cpu", {"n": True}))
    with pytest.raises(InputError, match=r"'sqare'.*'square'"):
        find_task("sqare")
    with pytest.raises(InputError, match=r"'zzz'.*square"):
        find_task("zzz")


class TestDoctor:
    def differing(self, workers, here):
        return {finding.state: finding.advice for finding in doctor._versions(here.client, workers)}

    def test_it_compares_this_host_with_the_workers(self, here):
        (state,) = found = self.differing(work(here, fibonacci=old_fibonacci()), here)
        assert "'fibonacci'" in state
        assert "cpu@vm " in found[state]
        assert f"(module {MODULE} differs)" in found[state]

    def test_the_same_code_is_no_difference(self, here):
        same = find("fibonacci").announcement
        assert self.differing(work(here, fibonacci=same, theirs=Announcement("1", "cpu")), here) == {}


class TestRunAgain:
    def warnings(self, caplog):
        return [record.message for record in caplog.records if record.name == "gristmill.producer.batch"]

    @pytest.fixture
    def batch(self, here, caplog):
        """A batch whose item failed; the log has warnings."""
        caplog.set_level(logging.WARNING)
        # Chunks are handed out where there is a worker: this one, which every test has announce tasks anew.
        work(here)
        submit(here, "b", 1, task="fibonacci")
        chunk = pop(here)
        items = here.take(chunk).items
        here.record(chunk, [outcomes([item], "failed")[0] for item in items], 0.001, WORKER)
        return open_batch("b")

    def test_old_code_on_workers(self, here, batch, caplog):
        work(here, fibonacci=old_fibonacci())
        assert batch.retry() == 1
        (warning,) = self.warnings(caplog)
        assert "cpu@vm " in warning
        assert f"(module {MODULE} differs)" in warning
        batch.pause()
        caplog.clear()
        assert batch.resume()
        assert self.warnings(caplog) == [warning]

    def test_the_same_code(self, here, batch, caplog):
        work(here, fibonacci=find("fibonacci").announcement)
        assert batch.retry() == 1
        assert self.warnings(caplog) == []

    def test_no_worker(self, here, batch, caplog):
        here.client.delete(here.settings.key("workers"))
        assert batch.retry() == 1
        (warning,) = self.warnings(caplog)
        assert "queue cpu" in warning

    def test_no_worker_that_knows_the_task(self, here, batch):
        work(here, square=Announcement("1", "cpu", {"n": True}))
        with pytest.raises(InputError, match=r"queue cpu.*'fibonacci'"):
            batch.retry()
        assert batch.info().failed == 1
