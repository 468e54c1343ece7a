"""The slowest items of a batch: noted when they are recorded, and quick ones cost no word."""

from gristmill.batches.chunk import Chunk, Outcome
from gristmill.batches.slowest import SLOWEST, SlowestFilter
from tests.support.ledger import WORKER, pop, submit


def slowest(ledger):
    return ledger.client.zrevrange(ledger.key("b", "slowest"), 0, -1, withscores=True)


def run_all(ledger, seconds, state="succeeded"):
    """Run what is on the queue; item n takes `seconds(n)`."""
    while chunk := pop(ledger):
        items = ledger.take(chunk, WORKER).items
        ledger.record(chunk, [Outcome(i.index, state, i.attempt, "1", seconds(i.index)) for i in items], 0.01, WORKER)


def test_the_ten_slowest_are_noted(ledger):
    submit(ledger, "b", 100, ttl=60_000)
    run_all(ledger, lambda index: (index * 37 % 100) / 10)
    by_time = sorted(range(100), key=lambda index: -(index * 37 % 100))[:SLOWEST]
    assert [(int(member), seconds) for member, seconds in slowest(ledger)] == [
        (index, (index * 37 % 100) / 10) for index in by_time
    ]
    assert 0 < ledger.client.pttl(ledger.key("b", "slowest")) <= 60_000
    ledger.delete("b")
    assert ledger.client.exists(ledger.key("b", "slowest")) == 0


def test_only_an_outcome_that_counts_is_noted_and_the_last_attempts_time(ledger, control):
    submit(ledger, "b", 1)
    chunk = pop(ledger)
    ledger.take(chunk, WORKER)
    ledger.record(chunk, [Outcome(0, "failed", 1, "{}", 9.0, retry_ms=60_000)], 0.01, WORKER)
    assert slowest(ledger) == [], "another attempt follows"
    control.cancel_item("b", 0, "by me")
    control.retry_item("b", 0)
    run_all(ledger, lambda _: 5.0, "failed")
    assert slowest(ledger) == [("0", 5.0)]
    ledger.record(chunk, [Outcome(0, "succeeded", 1, "1", 99.0)], 0.01, WORKER)
    assert slowest(ledger) == [("0", 5.0)], "a duplicate"
    control.retry_item("b", 0)
    run_all(ledger, lambda _: 2.0)
    assert slowest(ledger) == [("0", 2.0)]


def test_an_item_that_is_to_run_again_has_no_time_until_it_has(ledger, control):
    submit(ledger, "b", 12)
    run_all(ledger, lambda index: 1.0 + index, "failed")
    control.retry("b")
    assert slowest(ledger) == []
    run_all(ledger, lambda _: 0.5, "failed")
    assert {seconds for _, seconds in slowest(ledger)} == {0.5}
    control.retry_item("b", 3)
    assert "3" not in dict(slowest(ledger))


def test_a_process_tells_of_nothing_that_is_quicker_than_those_it_knows_of():
    chunk, other = Chunk("b", 1, 0, 100), Chunk("b", 2, 0, 100)
    outcomes = [Outcome(index, "succeeded", 1, "1", index / 10) for index in range(100)]
    table = SlowestFilter()
    assert table.candidates(chunk, outcomes)[::2] == list(range(99, 89, -1))
    table.learn(chunk, 9.75)
    assert table.candidates(chunk, outcomes) == [99, 9.9, 98, 9.8]
    table.learn(chunk, 9.9)
    assert table.candidates(chunk, outcomes) == []
    assert len(table.candidates(other, outcomes)) == 2 * SLOWEST, "another batch of that name"
