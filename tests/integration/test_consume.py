"""Results that are consumed are gone from the server, and nothing else is: not what is open, failed or unread."""

import random
import uuid

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from gristmill.batches.control import Control
from gristmill.batches.info import State
from gristmill.batches.reader import ResultReader
from gristmill.batches.result_consumer import ResultConsumer
from tests.support.ledger import WORKER, heal, heartbeat, info, outcomes, pop, queue_key, run_all, submit


def consumer(ledger, name="b", created=None):
    created = int(ledger.state(name)["created"]) if created is None else created
    return ResultConsumer(ledger.client, ledger.settings, name, created)


def reader(ledger, name="b"):
    return ResultReader(ledger.client, ledger.settings, name)


def record(ledger, chunk, failing=()):
    """Run a chunk; the items `failing` fail."""
    items = ledger.take(chunk).items
    done = [outcomes([item], "failed" if item.index in failing else "succeeded")[0] for item in items]
    ledger.record(chunk, done, 0.001 * len(done), WORKER)


def run_with_failures(ledger, failing):
    while chunk := pop(ledger):
        record(ledger, chunk, failing)


def read_all(ledger, one, name="b"):
    """Read what is there as it completed, and consume it."""
    here, event, seen = reader(ledger, name), "0-0", []
    while True:
        before, (event, found) = event, here.after(event, 0)
        seen += [result.index for result in one.noted(found)]
        if event == before:
            return seen
        one.consume(upto=event)


def memory(ledger, name="b"):
    keys = ledger.client.scan_iter(ledger.key(name, "*"))
    return sum(ledger.client.memory_usage(key) for key in keys)


def test_a_batch_that_was_read_leaves_only_small_keys(ledger):
    ledger.heartbeat(WORKER, heartbeat(), [])
    submit(ledger, "b", 20_000, block=1000)
    run_all(ledger)
    before = memory(ledger)
    assert sorted(read_all(ledger, consumer(ledger))) == list(range(20_000))
    assert before > 300_000
    assert memory(ledger) < 30_000
    assert ledger.client.xlen(ledger.key("b", "in")) == ledger.client.xlen(ledger.key("b", "events")) == 0
    assert list(ledger.client.scan_iter(ledger.key("b", "out:*"))) == []
    state = info(ledger, "b")
    assert (state.succeeded, state.consumed, state.left, state.state) == (20_000, 20_000, 0, State.SUCCEEDED)
    assert list(reader(ledger).in_order(0, 20_000)) == []
    ledger.delete("b")
    assert list(ledger.client.scan_iter(ledger.key("b", "*"))) == []


def test_in_order_too(ledger):
    ledger.heartbeat(WORKER, heartbeat(), [])
    submit(ledger, "b", 3000)
    run_with_failures(ledger, {7})
    here, one = reader(ledger), consumer(ledger)
    for first in range(0, 3000, 700):
        end = min(3000, first + 700)
        assert [result.index for result in one.noted(here.in_order(first, end))] == list(range(first, end))
        one.consume(below=end)
    assert [result.index for result in here.in_order(0, 3000)] == [7]
    assert ledger.client.xlen(ledger.key("b", "in")) == 0
    # The event that tells of the failed one.
    assert ledger.client.xlen(ledger.key("b", "events")) == 1
    assert read_all(ledger, one) == [7]


def test_failures_stay_with_their_input(ledger):
    ledger.heartbeat(WORKER, heartbeat(), [])
    submit(ledger, "b", 1000)
    failing = {3, 250, 251, 999}
    run_with_failures(ledger, failing)
    one = consumer(ledger)
    assert sorted(read_all(ledger, one)) == list(range(1000))
    assert ledger.client.xlen(ledger.key("b", "in")) == 0, "a block does not stay for the sake of one item"
    left = list(reader(ledger).in_order(0, 1000))
    assert {result.index: (result.input, result.state) for result in left} == {i: (i, "failed") for i in failing}
    assert sorted(read_all(ledger, one)) == sorted(failing), "they are read again"
    assert info(ledger, "b").consumed == 996


def test_what_was_not_read_stays(ledger):
    ledger.heartbeat(WORKER, heartbeat(), [])
    submit(ledger, "b", 1000)
    run_all(ledger)
    event, found = reader(ledger).after("0-0", 0)
    one = consumer(ledger)
    noted = one.noted(found)
    read = [next(noted).index for _ in range(3)]
    one.consume(upto=event)
    # The third was handed out, and whoever got it never asked for more.
    assert info(ledger, "b").consumed == 2
    assert sorted(read[:2] + [result.index for result in reader(ledger).in_order(0, 1000)]) == list(range(1000))


def test_what_runs_late_is_a_duplicate_all_the_same(ledger):
    submit(ledger, "b", 1)
    chunk = pop(ledger)
    work = ledger.take(chunk)
    ledger.record(chunk, outcomes(work.items), 0.1, WORKER)
    assert read_all(ledger, consumer(ledger)) == [0]
    assert ledger.record(chunk, outcomes(work.items, "failed"), 0.1, WORKER) == 1
    state = info(ledger, "b")
    assert (state.succeeded, state.failed, state.duplicates) == (1, 0, 1)


def test_a_chunk_of_which_a_part_was_consumed_runs_on(ledger):
    """Its outcomes so far were recorded, its worker died, and its blocks are gone."""
    ledger.heartbeat(WORKER, heartbeat(), [])
    submit(ledger, "b", 1000, block=10)
    while (chunk := pop(ledger)).count < 50:
        record(ledger, chunk)
    done = ledger.take(chunk).items[:35]
    ledger.record(chunk, outcomes(done), 0.1, WORKER, rest=-1)
    read_all(ledger, consumer(ledger))
    again = ledger.take(chunk)
    assert [(item.index, item.value) for item in again.items] == [
        (index, index) for index in range(chunk.first + 35, chunk.first + chunk.count)
    ]


def test_a_failed_item_whose_block_is_gone_can_run_again(ledger):
    submit(ledger, "b", 2, block=2)
    chunks = [pop(ledger), pop(ledger)]
    for chunk in chunks:
        record(ledger, chunk, {1})
    read_all(ledger, consumer(ledger))
    # As if it had been given back.
    ledger.client.setbit(ledger.key("b", "done"), 1, 0)
    ledger.client.zadd(ledger.key("b", "in_flight"), {"1:1": 0})
    assert [(item.index, item.value) for item in ledger.take(chunks[1]).items] == [(1, 1)]


def test_another_batch_of_the_name_is_left_alone(ledger):
    submit(ledger, "b", 10)
    run_all(ledger)
    one = consumer(ledger)
    event, found = reader(ledger).after("0-0", 0)
    list(one.noted(found))
    ledger.delete("b")
    submit(ledger, "b", 10)
    run_all(ledger)
    ledger.client.hset(ledger.key("b", "state"), "created", 5)
    one.consume(upto=event)
    assert info(ledger, "b").consumed == 0
    assert len(list(reader(ledger).in_order(0, 10))) == 10


def test_what_is_written_late_lives_as_long_as_its_batch(ledger):
    submit(ledger, "b", 10)
    run_with_failures(ledger, {3})
    ledger.client.expire(ledger.key("b", "state"), 100)
    read_all(ledger, consumer(ledger))
    assert all(0 < ledger.client.ttl(ledger.key("b", part)) <= 100 for part in ("consumed", "retained_inputs"))


def test_it_works_on_a_full_server(ledger):
    submit(ledger, "b", 100)
    run_with_failures(ledger, {5})
    ledger.client.config_set("maxmemory", 1)
    try:
        assert len(read_all(ledger, consumer(ledger))) == 100
    finally:
        ledger.client.config_set("maxmemory", 0)
    assert info(ledger, "b").consumed == 99


@settings(max_examples=25, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(count=st.integers(1, 1300), block=st.integers(1, 400), seed=st.integers(0, 1 << 30))
def test_each_item_is_read_whatever_is_recorded_and_consumed_when(ledger, count, block, seed):
    """Two readers, in order and as completed, consume by turns while the batch runs and chunks are lost."""
    luck = random.Random(seed)
    name = f"b{uuid.uuid4().hex}"
    ledger.client.delete(queue_key(ledger))
    failing = {index for index in range(count) if luck.random() < 0.02}
    submit(ledger, name, count, block=block)
    one, here, event, seen = consumer(ledger, name), reader(ledger, name), "0-0", []
    two, first = consumer(ledger, name), 0
    while info(ledger, name).left:
        chunk = pop(ledger)
        if chunk is None:
            for member in ledger.client.zrange(ledger.key(name, "in_flight"), 0, -1):
                ledger.client.zadd(ledger.key(name, "in_flight"), {member: 1})
            heal(ledger)
        elif luck.random() < 0.9:
            record(ledger, chunk, failing)
        turn = luck.random()
        if turn < 0.4:
            event, found = here.after(event, 0)
            seen += [result.index for result in one.noted(found)]
            one.consume(upto=event)
        elif turn < 0.6:
            end = min(here.prefix(first), count)
            seen += [result.index for result in two.noted(here.in_order(first, end))]
            two.consume(below=end)
            first = end
    seen += read_all(ledger, one, name)
    assert set(seen) == set(range(count))
    assert {result.index for result in here.in_order(0, count)} == failing
    state = info(ledger, name)
    assert (state.failed, state.consumed) == (len(failing), count - len(failing))
    assert ledger.client.xlen(ledger.key(name, "in")) == 0


def test_cancelled_items_stay_with_their_input(ledger):
    ledger.heartbeat(WORKER, heartbeat(), [])
    submit(ledger, "b", 100, ttl=60_000)
    chunk = pop(ledger)
    record(ledger, chunk)
    record(ledger, pop(ledger), failing={1})
    control = Control(ledger.client, ledger.settings)
    control.cancel("b", "by me")
    state = info(ledger, "b")
    assert (state.state, state.succeeded >= 1, state.failed, state.cancelled > 50) == (State.CANCELLED, True, 1, True)
    read = read_all(ledger, consumer(ledger))
    assert len(read) == state.succeeded + state.failed
    assert info(ledger, "b").consumed == state.succeeded
    assert ledger.client.xlen(ledger.key("b", "in")) == 0
    assert 0 < ledger.client.pttl(ledger.key("b", "retained_inputs")) <= 60_000
    left = list(reader(ledger).cancelled(100))
    assert [(result.index, result.input) for result in left] == [(i, i) for i in range(100 - state.cancelled, 100)]
    ledger.client.delete(queue_key(ledger))
    assert control.retry("b", cancelled=True) == state.failed + state.cancelled
    run_all(ledger)
    assert sorted(read_all(ledger, consumer(ledger))) == [1, *(result.index for result in left)]
    state = info(ledger, "b")
    assert (state.state, state.succeeded, state.consumed) == (State.SUCCEEDED, 100, 100)
    assert ledger.client.exists(ledger.key("b", "retained_inputs")) == 0
