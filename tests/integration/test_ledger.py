"""The ledger on a real server: whatever order things happen in, the counters add up and nothing is lost."""

import json
import random
import uuid
from dataclasses import replace

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from gristmill.batches.chunk import Chunk, Outcome
from gristmill.batches.feed import AlreadyFeeding, DifferentInput
from gristmill.batches.info import State
from gristmill.batches.ledger import Ledger
from gristmill.batches.reader import ResultReader
from gristmill.errors import ServerError
from gristmill.server.connection import reaching
from tests.support.ledger import (
    FIELDS,
    WORKER,
    age,
    enlist,
    heal,
    heartbeat,
    info,
    let_time_pass,
    outcomes,
    pop,
    queue_key,
    run_all,
    submit,
)


def test_a_batch_runs_to_its_end_and_its_results_are_all_there(ledger):
    ledger.heartbeat(WORKER, heartbeat(), [])
    submit(ledger, "b", 1234)
    chunks = run_all(ledger)
    state = info(ledger, "b")
    assert (state.submitted, state.succeeded, state.left, state.duplicates) == (1234, 1234, 0, 0)
    assert state.state is State.SUCCEEDED
    assert sum(chunk.count for chunk in chunks) == 1234
    results = list(ResultReader(ledger.client, ledger.settings, "b").in_order(0, 1234))
    assert [(r.index, r.input, r.value) for r in results] == [(i, i, i) for i in range(1234)]


def test_large_outcomes_are_read_a_few_at_a_time(ledger, monkeypatch):
    ledger.heartbeat(WORKER, heartbeat(), [])
    submit(ledger, "b", 60)
    while chunk := pop(ledger):
        large = [replace(done, text=json.dumps("x" * 500_000)) for done in outcomes(ledger.take(chunk).items)]
        ledger.record(chunk, large, 0.1, WORKER)
    asked, read = [], ledger.client.hmget
    monkeypatch.setattr(ledger.client, "hmget", lambda key, fields: asked.append(len(fields)) or read(key, fields))
    results = list(ResultReader(ledger.client, ledger.settings, "b").in_order(0, 60))
    assert [result.index for result in results] == list(range(60))
    assert asked == [20, *[8] * 5]


def test_chunks_grow_with_what_is_measured_and_shrink_at_the_end(ledger):
    ledger.heartbeat(WORKER, heartbeat(), [])
    submit(ledger, "b", 5000, block=1000)
    counts = [chunk.count for chunk in run_all(ledger, seconds_each=0.001)]
    assert counts[0] == 1
    # Chunks are of unlike lengths, about a quarter of a second long.
    assert 250 <= max(counts) <= 313
    assert counts[-1] <= 8


def test_a_first_item_unlike_the_others_makes_no_long_chunk(ledger):
    ledger.heartbeat(WORKER, heartbeat(), [])
    submit(ledger, "b", 5000, block=1000)
    first = pop(ledger)
    ledger.record(first, outcomes(ledger.take(first).items), 1e-6, WORKER)
    assert [pop(ledger).count for _ in range(2)] == [1, 4], "the first of these was cut before"


def test_the_next_batch_begins_with_what_was_learnt_of_the_same_source(ledger):
    ledger.heartbeat(WORKER, heartbeat(), [])
    submit(ledger, "b", 100)
    run_all(ledger, seconds_each=0.02)
    for name, fields, first in (("same", {}, [15, 13]), ("other", {"fingerprint": "g"}, [1, 1])):
        submit(ledger, name, 5000, block=1000, **fields)
        assert [pop(ledger).count for _ in range(2)] == first
        ledger.delete(name)
        ledger.client.delete(queue_key(ledger))
    submit(ledger, "few", 17)
    assert [pop(ledger).count for _ in range(2)] == [2, 1], "all slots have enough to do, should these take longer"


def test_items_that_together_are_not_worth_a_second_chunk_are_one(ledger):
    ledger.heartbeat(WORKER, heartbeat(), [])
    for name, seconds, first in (("b", 40e-6, 1), ("same", 100e-6, 20), ("longer", 100e-6, 10)):
        submit(ledger, name, 20, block=1000)
        chunk = pop(ledger)
        assert chunk.count == first
        ledger.record(chunk, outcomes(ledger.take(chunk).items), seconds * chunk.count, WORKER)
        run_all(ledger, seconds_each=seconds)


def test_a_worker_that_comes_counts_at_once(ledger):
    ledger.heartbeat(WORKER, heartbeat(slots=2), [])
    ledger.heartbeat("cpu@b", heartbeat(slots=3), [])
    submit(ledger, "b", 100)
    assert ledger.client.xlen(queue_key(ledger)) == 5


def test_long_items_travel_alone(ledger):
    ledger.heartbeat(WORKER, heartbeat(), [])
    submit(ledger, "b", 100)
    assert {chunk.count for chunk in run_all(ledger, seconds_each=1)} == {1}


def test_the_window_bounds_what_stands_on_the_queue(ledger):
    ledger.heartbeat(WORKER, heartbeat(slots=20), [])
    submit(ledger, "b", 10_000, block=1000)
    assert ledger.client.xlen(queue_key(ledger)) == 20
    assert ledger.client.zcard(ledger.key("b", "in_flight")) == 20


def test_an_outcome_is_recorded_once_and_duplicates_are_counted(ledger):
    submit(ledger, "b", 10)
    chunk = pop(ledger)
    work = ledger.take(chunk)
    assert ledger.record(chunk, outcomes(work.items), 0.1, WORKER) == 0
    assert ledger.record(chunk, outcomes(work.items, "failed"), 0.1, WORKER) == 1
    assert ledger.take(chunk) is None
    state = info(ledger, "b")
    assert (state.succeeded, state.failed, state.duplicates, state.left) == (1, 0, 1, 9)


@pytest.mark.parametrize("state", ["succeeded", "failed"])
def test_a_duplicate_is_no_item_of_its_worker(ledger, state):
    submit(ledger, "b", 10)
    chunk = pop(ledger)
    work = ledger.take(chunk)
    for _ in range(2):
        ledger.record(chunk, outcomes(work.items, state), 0.1, WORKER)
    assert ledger.client.hget(ledger.settings.key("items"), WORKER) == "1"


def test_an_old_epoch_counts_as_a_duplicate_and_changes_nothing(ledger):
    submit(ledger, "b", 10)
    chunk = pop(ledger)
    work = ledger.take(chunk)
    ledger.client.hset(ledger.key("b", "state"), "epoch", chunk.epoch + 1)
    assert ledger.take(chunk) is None
    assert ledger.record(chunk, outcomes(work.items), 0.1, WORKER) == 1
    assert info(ledger, "b").left == 10
    assert ledger.record(replace(chunk, batch="gone"), outcomes(work.items), 0.1, WORKER) == 1


def test_the_rest_of_a_chunk_goes_to_other_slots(ledger):
    ledger.heartbeat(WORKER, heartbeat(), [])
    submit(ledger, "b", 1000, block=500)
    while (message := pop(ledger)).count < 10:
        ledger.record(message, outcomes(ledger.take(message).items), 0.005 * message.count, WORKER)
    chunk = message
    items = ledger.take(chunk).items
    ledger.record(chunk, outcomes(items[:3]), 3.0, WORKER, rest=chunk.count - 3)
    run_all(ledger)
    state = info(ledger, "b")
    assert (state.succeeded, state.left, state.duplicates) == (1000, 0, 0)


def test_a_failed_item_is_tried_again_when_it_is_due_and_not_before(ledger):
    submit(ledger, "b", 1, retries=2)
    chunk = pop(ledger)
    work = ledger.take(chunk)
    again = [Outcome(0, "failed", 1, "{}", retry_ms=100_000)]
    assert ledger.record(chunk, again, 0.1, WORKER) == 0
    assert ledger.record(chunk, again, 0.1, WORKER) == 1
    ledger.heartbeat(WORKER, heartbeat(), [])
    assert pop(ledger) is None
    ledger.client.zadd(ledger.key("b", "retry"), {"0": 1})
    heal(ledger)
    chunk = pop(ledger)
    work = ledger.take(chunk)
    assert [item.attempt for item in work.items] == [2]
    ledger.record(chunk, outcomes(work.items, "failed"), 0.1, WORKER)
    state = info(ledger, "b")
    assert (state.failed, state.left, state.state) == (1, 0, State.FAILED)


def test_a_dropped_message_is_put_again_and_one_that_is_held_or_waits_is_not(ledger):
    submit(ledger, "b", 2)
    heal(ledger)
    held, dropped = pop(ledger), pop(ledger)
    age(ledger, "b", held, 60_000)
    age(ledger, "b", dropped, 60_000)
    heal(ledger, [held])
    assert pop(ledger) == dropped
    assert pop(ledger) is None
    submit(ledger, "waits", 1)
    chunk = Chunk("waits", 0, 0, 1)
    age(ledger, "waits", chunk, 60_000)
    heal(ledger, [held, dropped])
    assert ledger.client.xlen(queue_key(ledger)) == 1, "it still waited: nothing was put again"


def test_a_chunk_whose_message_is_gone_is_put_again_on_a_busy_queue_too(ledger):
    submit(ledger, "first", 1)
    dropped = pop(ledger)
    age(ledger, "first", dropped, 60_000)
    submit(ledger, "second", 1)
    ledger.take(pop(ledger))
    submit(ledger, "third", 1)
    heal(ledger, [Chunk("second", 0, 0, 1)])
    found = {pop(ledger).batch, pop(ledger).batch}
    assert found == {"first", "third"}


def test_two_producers_feed_one_batch_one_after_the_other(ledger):
    ledger.create("b", "one", FIELDS)
    ledger.append("b", "one", 0, ["1", "2"], "sha")
    with pytest.raises(AlreadyFeeding, match=r"me@here .*batch 'b'"):
        ledger.create("b", "two", FIELDS)
    ledger.client.hset(ledger.key("b", "state"), "producer_until", 0)
    feed = ledger.create("b", "two", FIELDS)
    assert (feed.created, feed.stored, feed.sha, feed.input_ended) == (False, 2, "sha", False)
    with pytest.raises(AlreadyFeeding, match="batch 'b'"):
        ledger.append("b", "one", 2, ["3"], "sha")
    with pytest.raises(AlreadyFeeding, match="batch 'b'"):
        ledger.append("b", "two", 1, ["2"], "other")
    ledger.append("b", "two", 2, ["3"], "sha")
    ledger.end("b", "two", 0)
    assert list(ledger.items("b")) == [(0, "1"), (1, "2"), (2, "3")]


def test_who_gives_a_batch_up_keeps_it_from_nobody_after_a_gap_either(ledger):
    ledger.create("b", "one", FIELDS)
    for _ in range(2):
        ledger.let_go("b", "one")
    # The workers have ended too, without a word.
    ledger.client.zadd(ledger.settings.key("workers"), {"dead": 1})
    assert not ledger.create("b", "two", FIELDS).created
    with pytest.raises(AlreadyFeeding):
        ledger.append("b", "one", 0, ["1"], "sha")


def test_a_call_whose_answer_was_lost_can_be_repeated(ledger):
    ledger.create("b", "one", FIELDS)
    for _ in range(2):
        ledger.append("b", "one", 0, ["1", "2"], "sha")
    for _ in range(2):
        ledger.end("b", "one", 0)
    assert info(ledger, "b").submitted == 2


def test_a_producer_that_waits_for_its_input_stays_the_producer(ledger):
    ledger.create("b", "one", FIELDS)
    ledger.client.hset(ledger.key("b", "state"), "producer_until", 0)
    ledger.producer_heartbeat("b", "one")
    with pytest.raises(AlreadyFeeding):
        ledger.create("b", "two", FIELDS)


def test_a_sign_of_life_may_come_after_the_word_that_the_input_has_ended(ledger):
    submit(ledger, "b", 2)
    ledger.producer_heartbeat("b", "token")
    with pytest.raises(AlreadyFeeding):
        ledger.producer_heartbeat("b", "other")
    assert "producer_until" not in ledger.state("b")


def test_a_batch_whose_input_is_open_goes_on(ledger):
    enlist(ledger)
    ledger.create("b", "one", FIELDS)
    ledger.append("b", "one", 0, ["1"], "sha1")
    run_all(ledger)
    assert (info(ledger, "b").state, info(ledger, "b").left) == (State.SUBMITTING, 0)
    ledger.append("b", "one", 1, ["2"], "sha2")
    ledger.end("b", "one", 0)
    run_all(ledger)
    assert (info(ledger, "b").state, info(ledger, "b").succeeded) == (State.SUCCEEDED, 2)


def test_another_task_under_the_name_leaves_the_producer_alone(ledger):
    ledger.create("b", "one", FIELDS)
    ledger.client.hset(ledger.key("b", "state"), "producer_until", 0)
    with pytest.raises(DifferentInput, match="by me@here with task fibonacci, not fetch"):
        ledger.create("b", "two", {**FIELDS, "task": "fetch"})
    ledger.append("b", "one", 0, ["1"], "sha")


def test_late_records_of_a_forgotten_batch_do_not_fit_the_next_of_its_name(ledger):
    submit(ledger, "b", 1)
    chunk = pop(ledger)
    late = outcomes(ledger.take(chunk).items)
    ledger.delete("b")
    submit(ledger, "b", 1)
    assert ledger.record(chunk, late, 0.1, WORKER) == 1
    assert info(ledger, "b").left == 1


@pytest.mark.parametrize("schema", [1, 3])
def test_keys_of_another_version_are_refused(ledger, control, schema):
    submit(ledger, "b", 3)
    chunk = pop(ledger)
    ledger.client.set(ledger.settings.key("schema"), schema)
    for refused in (
        lambda: ledger.create("c", "t", FIELDS),
        lambda: ledger.take(chunk),
        lambda: ledger.record(chunk, [], 0.1, WORKER),
        lambda: ledger.heartbeat(WORKER, heartbeat(), []),
        lambda: ledger.state("b"),
        lambda: control.cancel("b", ""),
        ledger.names,
        lambda: ledger.infos(["b"]),
        ledger.check_schema,
    ):
        with pytest.raises(ServerError, match=rf"SCHEMA {schema}.*GRISTMILL_PREFIX"), reaching("redis://here"):
            refused()
    ledger.client.set(ledger.settings.key("schema"), 2)
    assert info(ledger, "b").left == 3


def test_a_version_that_has_deleted_its_batches_leaves_the_server_to_the_next(ledger):
    ledger.client.set(ledger.settings.key("schema"), 1)
    ledger.client.hset(ledger.settings.key("slots"), "cpu", 99)
    submit(ledger, "b", 3)
    run_all(ledger)
    assert info(ledger, "b").state is State.SUCCEEDED
    assert ledger.client.get(ledger.settings.key("schema")) == "2"


def test_delete_leaves_no_key_of_the_batch(ledger):
    submit(ledger, "b", 1200)
    run_all(ledger)
    ledger.delete("b")
    assert list(ledger.client.scan_iter(ledger.settings.key("batch:*"))) == []
    assert ledger.names() == []


def test_a_full_server_drains(ledger):
    submit(ledger, "b", 100)
    ledger.client.config_set("maxmemory", 1)
    try:
        with pytest.raises(Exception, match=r"maxmemory|OOM"):
            ledger.create("other", "t", FIELDS)
        run_all(ledger)
        assert info(ledger, "b").succeeded == 100
    finally:
        ledger.client.config_set("maxmemory", 0)


def run_unluckily(ledger, message, luck):
    """Run a chunk: items fail, the worker stops half-way, it records twice."""
    chunk = message
    work = ledger.take(chunk)
    if work is None:
        return
    done = []
    for item in work.items:
        fails = luck.random() < 0.2
        retry_ms = 50 if fails and item.attempt == 1 else None
        done += outcomes([item], "failed" if fails else "succeeded", retry_ms)
    cut = luck.randrange(len(done) + 1) if luck.random() < 0.3 else len(done)
    rest = chunk.first + chunk.count - work.items[cut].index if cut < len(done) else 0
    for _ in range(1 + (luck.random() < 0.2)):
        ledger.record(chunk, done[:cut], 0.001, WORKER, rest=rest)


@settings(max_examples=25, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(count=st.integers(1, 60), seed=st.integers(0, 1 << 30))
def test_nothing_is_lost_whatever_is_dropped_repeated_or_cut_short(ledger: Ledger, count, seed):
    """Messages are dropped, run twice, half run; the batch still ends with every item recorded once."""
    luck = random.Random(seed)
    name = f"b{uuid.uuid4().hex}"
    ledger.client.delete(queue_key(ledger))
    submit(ledger, name, count, block=7, retries=1)
    dropped = 0
    while info(ledger, name).left:
        message = pop(ledger)
        if message is None:
            let_time_pass(ledger, name)
        elif dropped < 50 and luck.random() < 0.2:
            dropped += 1
        else:
            run_unluckily(ledger, message, luck)
    state = info(ledger, name)
    assert state.submitted == count == state.succeeded + state.failed
    assert state.state in (State.SUCCEEDED, State.FAILED)
    reader = ResultReader(ledger.client, ledger.settings, name)
    assert [result.index for result in reader.in_order(0, count)] == list(range(count))
    event, seen = reader.after("0-0", 0)
    while True:
        event, more = reader.after(event, 0)
        if not more:
            break
        seen += more
    assert sorted(result.index for result in seen) == list(range(count))
