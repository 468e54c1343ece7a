"""Items of very different sizes on a real server: no slot is given more bytes at once than it can hold."""

import json
from dataclasses import replace

import pytest

from gristmill import io, item
from gristmill.batches import contents as contents_module
from gristmill.batches.contents import work_of
from gristmill.batches.control import Control
from gristmill.config.settings import settings
from gristmill.worker.slot.runner import Runner
from tests.support.ledger import FIELDS, WORKER, heartbeat, info, outcomes, pop

LARGE = json.dumps("x" * 100_000)
MOST = 5 << 20


@io
def length(text: str) -> int:
    """Return how long it is."""
    return len(text)


@pytest.fixture
def given(ledger, monkeypatch):
    """The bytes of input that each call gave to a slot."""
    sizes = []

    def weighed(chunk, contents):
        sizes.append(sum(len(items) for _, items in contents["blocks"]))
        return work_of(chunk, contents)

    monkeypatch.setattr(contents_module, "work_of", weighed)
    return sizes


def submit(ledger, *blocks):
    ledger.heartbeat(WORKER, heartbeat(), [])
    ledger.create("b", "token", {**FIELDS, "task": "length", "parameter": "text"})
    first = 0
    for block in blocks:
        ledger.append("b", "token", first, block, f"sha{first}")
        first += len(block)
    ledger.end("b", "token", 0)


def test_large_items_behind_many_small_ones(ledger, given):
    submit(ledger, *[['"x"'] * 4000] * 5, *[[LARGE]] * 200)
    runner = Runner(ledger, settings())
    while chunk := pop(ledger):
        runner.run(chunk, WORKER)
    assert item.batch == "", "after a chunk the slot runs no item"
    state = info(ledger, "b")
    assert (state.succeeded, state.left, state.duplicates) == (20_200, 0, 0)
    assert max(given) < MOST
    assert len(given) < 200, "they travel many together all the same"


def test_the_few_of_many_large_items_that_run_again(ledger, given):
    submit(ledger, *[[LARGE]] * 300)
    while chunk := pop(ledger):
        items = ledger.take(chunk, WORKER).items
        done = [
            one
            for item in items
            for one in outcomes([replace(item, value=1)], "failed" if item.index % 50 == 0 else "succeeded")
        ]
        ledger.record(chunk, done, 0.0001 * len(items), WORKER)
    assert Control(ledger.client, ledger.settings).retry("b") == 6
    given.clear()
    runner = Runner(ledger, settings())
    while chunk := pop(ledger):
        runner.run(chunk, WORKER)
    state = info(ledger, "b")
    assert (state.succeeded, state.failed, state.left, state.duplicates) == (300, 0, 0, 0)
    assert max(given) < MOST
    assert len(given) <= 6
