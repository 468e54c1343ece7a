"""The object `item`: what a task learns of its own run."""

import asyncio
import hashlib
import json
import math
import threading
from contextlib import contextmanager
from contextvars import Context

import pytest

from gristmill import item
from gristmill.batches.chunk import Chunk, Item, Work
from gristmill.tasks.application import app
from gristmill.tasks.item import enter, leave
from gristmill.tasks.kinds import cpu
from gristmill.worker.slot.item_runner import ItemRunner


@contextmanager
def running(batch, index, attempt, report=None):
    enter((batch, index, attempt, report, 3, "greet"))
    yield
    leave()


def about():
    return item.batch, item.index, item.attempt


def test_outside_a_run_it_is_item_0_of_no_batch():
    assert Context().run(about) == ("", 0, 1)
    assert Context().run(lambda: item.slot) == 0


def test_it_is_the_item_of_its_thread_and_of_its_coroutine():
    seen = {}

    async def run(index):
        with running("b", index, 2):
            await asyncio.sleep(0)
            seen[index] = about()
            await asyncio.gather(asyncio.create_task(inner(index)))

    async def inner(index):
        seen["inner", index] = item.index

    async def all_of_them():
        await asyncio.gather(*(run(index) for index in range(20)))

    asyncio.run(all_of_them())
    assert seen == {i: ("b", i, 2) for i in range(20)} | {("inner", i): i for i in range(20)}
    with running("b", 7, 1):
        thread = threading.Thread(target=lambda: seen.update(thread=item.index))
        thread.start()
        thread.join()
        assert (item.index, item.slot) == (7, 3)
    assert (seen["thread"], item.index) == (0, 0)


def test_the_seed_depends_on_batch_and_index_alone():
    with running("scan", 5, 1):
        first = item.seed
    with running("scan", 5, 3):
        assert item.seed == first
    assert first == int(hashlib.blake2b(b"scan:5", digest_size=8).hexdigest(), 16) >> 1
    seeds = set()
    for index in range(1000):
        with running("scan", index, 1):
            seeds.add(item.seed)
    assert len(seeds) == 1000
    assert max(seeds) < 2**63


def test_the_runner_enters_each_item():
    @cpu(name="about_item")
    def about_item(n: int) -> list[int | str]:
        return list(about())

    app.tasks.pop("about_item")
    work = Work(Chunk("audit", 1, 4, 1), "about_item", {}, "n", 0, 1.0, [])
    outcome = ItemRunner(work, about_item, "cpu@h")(Item(4, 1, 2))
    assert json.loads(outcome.text) == ["audit", 4, 2]


def test_progress_is_reported_of_the_item_that_runs_here():
    reports = []
    item.progress(1, 2, "outside a run")
    with running("b", 7, 2, lambda *progress: reports.append(progress)):
        item.progress(3, 10, "epoch 3")
        item.progress(0.5)
    assert reports == [("b", 7, 3, 10, "epoch 3"), ("b", 7, 0.5, None, "")]


@pytest.mark.parametrize(("done", "total"), [(math.nan, None), (1, math.inf)])
def test_progress_in_numbers_that_are_none_is_refused(done, total):
    with pytest.raises(ValueError, match="expected a finite number"):
        item.progress(done, total)
