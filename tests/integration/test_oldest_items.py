"""The age of the oldest item of each queue, among many batches, with a worker on one of the queues."""

import pytest

from tests.support.ledger import WORKER, heartbeat, run_all, submit

#: Batches of the queue with a worker, submitted before those of the other queue, a second apart.
BATCHES = 25


def sample(ledger, clock):
    """The fields of the queues in the samples of the next second."""
    clock.pass_by(1)
    ledger.heartbeat(WORKER, heartbeat(16), [], counts=())
    fields = ledger.client.hgetall(ledger.settings.key(f"meters:1:{clock.now // 1000}"))
    return {name.removeprefix("q|"): int(value) for name, value in fields.items() if name.startswith("q|")}


@pytest.fixture
def began(here, clock):
    """When the first batch of each queue was stored, ms."""
    began = {"cpu": clock.now}
    for number in range(BATCHES):
        submit(here, f"b{number}", 20)
        clock.pass_by(1)
    began["other"] = clock.now
    submit(here, "elsewhere", 5, queue="other")
    return began


def test_a_queue_without_a_worker_is_found_and_stays(here, clock, began):
    seen = [sample(here, clock) for _ in range(15)]
    found = [("left|other" in fields) for fields in seen]
    assert found.index(True) < 10
    assert all(found[found.index(True) :])
    assert (seen[-1]["left|other"], seen[-1]["oldest|other"]) == (5, clock.now - began["other"])


def test_the_oldest_item_is_that_of_the_oldest_batch_with_open_ones(here, clock, began):
    assert sample(here, clock)["oldest|cpu"] == clock.now - began["cpu"]
    run_all(here)
    assert sample(here, clock)["oldest|cpu"] == 0


def test_a_queue_goes_with_its_items(here, clock, began):
    for _ in range(12):
        sample(here, clock)
    here.delete("elsewhere")
    assert "left|other" not in sample(here, clock)


def test_a_late_second_hides_no_queue(here, clock, began):
    for _ in range(12):
        sample(here, clock)
    clock.pass_by(1)
    assert "left|other" in sample(here, clock)
