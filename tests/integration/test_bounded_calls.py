"""However much comes due at once, a call does a bounded part of it, and the next ones do the rest."""

from itertools import pairwise

import pytest

from tests.support.ledger import FIELDS, WORKER, heartbeat, outcomes, pop, queue_key, submit

BATCHES, ITEMS, SLOTS = 40, 16, 1000
NAMES = [f"b{number}" for number in range(BATCHES)]
#: What one call puts at most: all of its share in one place, and one release more.
MESSAGES_MOST = 300


def messages(ledger):
    return ledger.client.xlen(queue_key(ledger))


def beat(ledger):
    ledger.heartbeat(WORKER, heartbeat(SLOTS), [])


def submit_all(ledger, **fields):
    beat(ledger)
    for name in NAMES:
        submit(ledger, name, ITEMS, **fields)


def grow(ledger, clock):
    """The first worker comes when all batches stand."""
    for name in NAMES:
        ledger.create(name, "token", FIELDS)
        ledger.append(name, "token", 0, [str(index) for index in range(ITEMS)], "sha")
        ledger.end(name, "token", 0)


def lose_messages(ledger, clock):
    """A purge, and a look at each batch a while later."""
    submit_all(ledger)
    ledger.client.delete(queue_key(ledger))
    clock.pass_by(60)


def fail_all(ledger, clock):
    """Every item waits for its next attempt, and its time comes."""
    submit_all(ledger)
    while chunk := pop(ledger):
        items = ledger.take(chunk, WORKER).items
        ledger.record(chunk, outcomes(items, "failed", 30_000), 0.1, WORKER)
    clock.pass_by(60)


def schedule(ledger, clock):
    """All batches begin at one time."""
    submit_all(ledger, scheduled_at=clock.now + 30_000)
    clock.pass_by(60)


@pytest.mark.parametrize("fall_due", [grow, lose_messages, fail_all, schedule])
def test_a_call_puts_so_many_messages_and_the_next_ones_put_the_rest(here, clock, fall_due):
    fall_due(here, clock)
    counts = [messages(here)]
    while counts[-1] < BATCHES * ITEMS and len(counts) < 60:
        beat(here)
        clock.pass_by(1)
        counts.append(messages(here))
    assert counts[-1] == BATCHES * ITEMS
    assert max(after - before for before, after in pairwise(counts)) <= MESSAGES_MOST


def test_an_attempt_does_not_wait_behind_looks_at_the_messages_of_others(here, clock):
    submit_all(here)
    while chunk := pop(here):
        if chunk.batch == NAMES[-1]:
            here.record(chunk, outcomes(here.take(chunk, WORKER).items, "failed", 200_000), 0.1, WORKER)
            break
    clock.pass_by(300)
    # Which batches are due first is another matter.
    here.client.zadd(here.settings.key("due"), dict.fromkeys(NAMES[:-1], 1))
    beat(here)
    assert NAMES[-1] in {pop(here).batch for _ in range(messages(here))}
