"""However much comes due at once, a call does a bounded part of it, and the next ones do the rest."""

from itertools import pairwise

import pytest

from benchmarks.chunk_messages import chunk_of
from gristmill.batches.control import Control
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
        store(ledger, name, ITEMS)


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


def in_flight(ledger, name):
    return ledger.client.zcard(ledger.key(name, "in_flight"))


def store(ledger, name, count, **fields):
    """A batch without a worker for it."""
    ledger.create(name, "token", {**FIELDS, **fields})
    ledger.append(name, "token", 0, [str(index) for index in range(count)], "sha")
    ledger.end(name, "token", 0)


def fail_all_again(ledger, *, but=()):
    """Every message that stands is run, and its items fail and wait a second."""
    while chunk := pop(ledger):
        work = ledger.take(chunk, WORKER)
        if work and chunk.batch not in but:
            ledger.record(chunk, outcomes(work.items, "failed", 1000), 0.01, WORKER)


def test_an_attempt_does_not_wait_behind_looks_at_the_messages_of_others(here, clock):
    submit_all(here)
    first = next(iter(here.client.hgetall(here.key(NAMES[0], "message_of")).items()))
    chunk = pop(here)
    assert (chunk.batch, chunk.member) == (NAMES[0], first[0])
    here.record(chunk, outcomes(here.take(chunk, WORKER).items, "failed", 30_000), 0.1, WORKER)
    # The messages of the others stand, and nobody has seen them for long.
    clock.pass_by(300)
    here.client.zadd(here.settings.key("due"), dict.fromkeys(NAMES[1:], 1))
    beat(here)
    assert here.client.zscore(here.key(NAMES[0], "in_flight"), chunk.member)


def test_what_begins_at_a_time_does_not_wait_behind_attempts(here, clock):
    beat(here)
    for number in range(150):
        submit(here, f"f{number}", 1)
    submit(here, "later", 3, scheduled_at=clock.now + 5000)
    for _ in range(6):
        fail_all_again(here, but={"later"})
        clock.pass_by(1)
        beat(here)
    assert in_flight(here, "later") == 3


def test_a_new_queue_does_not_wait_behind_attempts_of_another_one(here, clock):
    beat(here)
    for number in range(350):
        submit(here, f"f{number}", 1)
    store(here, "there", 5, queue="io")
    for _ in range(3):
        fail_all_again(here)
        clock.pass_by(1)
        beat(here)
    here.heartbeat("io@x", heartbeat(8, "io"), [])
    assert in_flight(here, "there") == 5


def test_batches_that_their_limit_holds_do_not_keep_others_from_the_fleet(here, clock):
    names = [f"a{number:03}" for number in range(300)]
    for name in names:
        store(here, name, 5, max_running="1")
    store(here, "z", 5)
    for _ in range(6):
        clock.pass_by(1)
        beat(here)
    assert [in_flight(here, name) for name in (*names, "z")] == [1] * 300 + [5]


def test_what_was_lost_is_found_behind_the_chunks_of_a_dead_worker(here, clock):
    beat(here)
    submit(here, "b", 250)
    for _ in range(3):
        beat(here)
    entries = [(entry, chunk_of(fields["m"])) for entry, fields in here.client.xrange(queue_key(here))]
    for _, chunk in entries[:110]:
        here.take(chunk, "cpu@dead")
    here.client.xdel(queue_key(here), *(entry for entry, _ in entries[110:]))
    assert messages(here) == 110
    for _ in range(30):
        clock.pass_by(1)
        beat(here)
    assert messages(here) == 250


def test_batches_that_are_looked_at_together_are_not_the_next_time(ledger):
    beat(ledger)
    for name in NAMES:
        submit(ledger, name, 2)
    due = ledger.settings.key("due")
    ledger.client.zadd(due, dict.fromkeys(NAMES, 1))
    beat(ledger)
    assert len({score for _, score in ledger.client.zrange(due, 0, -1, withscores=True)}) > BATCHES / 2


def test_values_that_got_room_are_handed_out_soon_beyond_the_share_of_one_call(here, clock):
    beat(here)
    values = "".join(f"{1 + number:012x}" for number in range(300))
    for name in ("a", "b"):
        here.create(name, "token", {**FIELDS, "task_limit_by": "n", "task_max_running": "1"})
        here.append(name, "token", 0, [str(index) for index in range(300)], "sha", values)
        here.end(name, "token", 0)
    for _ in range(8):
        clock.pass_by(0.5)
        beat(here)
        here.pace()
    assert in_flight(here, "a") + in_flight(here, "b") == 300
    Control(here.client, here.settings).cancel("a", "me")
    for _ in range(4):
        clock.pass_by(0.5)
        beat(here)
        here.pace()
    assert in_flight(here, "b") == 300
