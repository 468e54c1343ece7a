"""How the batches of one priority share a queue, on a real server."""

from collections import Counter
from itertools import groupby

import pytest

from gristmill.batches.repair import Repair
from gristmill.server.scripts import Scripts
from tests.support.ledger import FIELDS, WORKER, enlist, heartbeat, info, outcomes, pop, queue_key, submit

SLOTS = 16
ANNA, BERT = {"submitted_by": "anna@here"}, {"submitted_by": "bert@there"}


def submit_many(ledger, names, items=1, **fields):
    """Batches of a few items each, as fast as the server takes them."""
    enlist(ledger)
    scripts, lines = Scripts(ledger.client, ledger.settings.prefix, "batches"), "\n".join(map(str, range(items)))
    state = [part for pair in {**FIELDS, **fields}.items() for part in pair]
    block = {"lease": 1000, "first": 0, "after": items, "sha": "s", "items": lines, "values": ""}
    for name in ("create", "append", "end"):
        scripts.load(name)
    for start in range(0, len(names), 500):
        with ledger.client.pipeline(transaction=False) as pipe:
            for name in names[start : start + 500]:
                who = {"batch": name, "token": "token"}
                pipe.evalsha(*scripts.flat("create", **who, lease=1000, fields=state))
                pipe.evalsha(*scripts.flat("append", **who, **block))
                pipe.evalsha(*scripts.flat("end", **who, rejected=0))
            pipe.execute()


def names(letter, count):
    return [f"{letter}{number}" for number in range(count)]


def run_one(ledger, queue="cpu"):
    """Run the next message; the batch that it was of, None when there was none."""
    chunk = pop(ledger, queue)
    if not chunk:
        return None
    work = ledger.take(chunk, WORKER)
    if work:
        ledger.record(chunk, outcomes(work.items), 0.1 * chunk.count, WORKER)
    return chunk.batch


def in_flight(ledger, batches):
    return sum(ledger.client.zcard(ledger.key(name, "in_flight")) for name in batches)


def in_line(ledger):
    return list(ledger.client.scan_iter(ledger.settings.key("turns:*"))) + list(
        ledger.client.scan_iter(ledger.settings.key("line:*"))
    )


@pytest.mark.parametrize("count", [200, pytest.param(10_000, marks=pytest.mark.slow)])
def test_a_batch_ends_beside_so_many_of_somebody_else(ledger, count):
    submit_many(ledger, names("a", count), **ANNA)
    submit(ledger, "b", 10, **BERT)
    before = []
    while info(ledger, "b").left:
        before.append(run_one(ledger))
    others = sum(batch != "b" for batch in before)
    assert others <= 2 * SLOTS + 10 + 2, "those in flight, and a turn for each of its items"
    assert ledger.client.xlen(queue_key(ledger)) <= 2 * SLOTS


@pytest.mark.parametrize("submitters", [[ANNA], [ANNA, BERT], [ANNA, BERT, {"submitted_by": "cleo@there"}]])
def test_no_slot_stands_idle_and_each_item_runs_once(ledger, submitters):
    batches = []
    for number, who in enumerate(submitters):
        mine = names("abc"[number], 40)
        submit_many(ledger, mine[:20], items=1, **who)
        submit_many(ledger, mine[20:], items=7, **who)
        batches += mine
    left = sum(info(ledger, name).left for name in batches)
    while left:
        assert min(SLOTS, left) <= ledger.client.xlen(queue_key(ledger)) <= 2 * SLOTS
        assert run_one(ledger)
        left -= 1
    assert all(info(ledger, name).state == "succeeded" for name in batches)
    assert sum(info(ledger, name).duplicates for name in batches) == 0
    assert in_line(ledger) == []


def test_submitters_have_turns_by_turns_however_many_batches_they_have(ledger):
    submit_many(ledger, names("a", 30), items=20, **ANNA)
    submit(ledger, "b", 300, **BERT)
    runs = [run_one(ledger)[0] for _ in range(200)]
    late = runs[2 * SLOTS + 2 :]
    # B's window is full at times: it comes into line again when a chunk of it is recorded.
    assert Counter(late)["b"] >= 0.45 * len(late)
    assert max(len(list(group)) for _, group in groupby(late)) <= 4


def test_a_submitter_who_comes_again_and_again_has_no_more_turns(ledger):
    submit_many(ledger, names("b", 20), items=20, **BERT)
    runs = []
    for number in range(60):
        # Its only batch has ended: its next one comes at once.
        submit(ledger, f"a{number}", 1, **ANNA)
        runs += [run_one(ledger)[0], run_one(ledger)[0]]
    late = Counter(runs[2 * SLOTS :])
    assert late["a"] <= late["b"] + 2


def test_two_batches_fill_all_slots_and_have_nobody_wait_in_line(ledger):
    submit(ledger, "a", 100, **ANNA)
    submit(ledger, "b", 100, **ANNA)
    assert (in_flight(ledger, "ab"), in_line(ledger)) == (2 * SLOTS, [])
    runs = [run_one(ledger) for _ in range(120)]
    assert Counter(runs[SLOTS : 2 * SLOTS]) == {"b": SLOTS}
    assert Counter(runs[40:]) == {"a": 40, "b": 40}


def test_other_priorities_have_places_of_their_own(ledger):
    submit_many(ledger, names("a", 40), priority=5, **ANNA)
    submit(ledger, "b", 1, priority=0, **BERT)
    assert run_one(ledger) == "b"
    submit_many(ledger, names("c", 40), priority=2, **ANNA)
    for level in (2, 5):
        key = ledger.settings.key(f"q:cpu:{level}")
        assert ledger.client.xlen(key) == 2 * SLOTS


def test_what_workers_put_off_is_in_nobodys_way(ledger):
    submit_many(ledger, names("a", 40), task="unknown", **ANNA)
    submit(ledger, "b", 3, **BERT)
    assert in_flight(ledger, ["b"]) == 0
    later = {f"0/{number}-0": 1e15 for number in range(2 * SLOTS)}
    ledger.client.zadd(ledger.settings.key("back:cpu"), later)
    ledger.heartbeat(WORKER, heartbeat(SLOTS), [])
    assert in_flight(ledger, ["b"]) == 3


def test_a_paused_batch_has_no_turn_until_it_is_resumed(ledger, control):
    submit_many(ledger, names("a", 3 * SLOTS), **ANNA)
    waiting = f"a{3 * SLOTS - 1}"
    control.pause(waiting)
    runs = [run_one(ledger) for _ in range(3 * SLOTS - 1)]
    assert waiting not in runs
    assert (run_one(ledger), in_line(ledger)) == (None, [])
    control.resume(waiting)
    assert run_one(ledger) == waiting


def test_what_is_cancelled_leaves_its_places_to_others(ledger, control):
    submit(ledger, "a", 100, **ANNA)
    submit(ledger, "b", 100, **ANNA)
    submit(ledger, "c", 100, **BERT)
    assert in_flight(ledger, "c") == 0
    control.cancel("a", "enough")
    assert in_flight(ledger, "c") == SLOTS


def test_a_fleet_that_grows_lets_those_in_line_go_on(ledger):
    submit_many(ledger, names("a", 100), **ANNA)
    ledger.heartbeat("cpu@b", heartbeat(SLOTS), [])
    assert ledger.client.xlen(queue_key(ledger)) == 4 * SLOTS


def test_items_that_are_due_again_wait_for_their_turn(ledger):
    submit(ledger, "a", 1, retries=1, **ANNA)
    chunk = pop(ledger)
    items = ledger.take(chunk, WORKER).items
    submit_many(ledger, names("b", 3 * SLOTS), **BERT)
    ledger.record(chunk, outcomes(items, "failed", retry_ms=0), 0.1, WORKER)
    for _ in range(3 * SLOTS + 1):
        run_one(ledger)
    assert info(ledger, "a").state == "succeeded"


def test_a_batch_in_line_needs_no_repair(ledger):
    submit_many(ledger, names("a", 3 * SLOTS), **ANNA)
    repair = Repair(ledger.client, ledger.settings)
    assert (repair.examine(f"a{3 * SLOTS - 1}"), repair.queues(["cpu"], mend=False)) == ({}, {})
