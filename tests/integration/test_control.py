"""Controls of a batch on a real server: cancel, pause, halt, priority, and how long it is kept."""

import threading

import pytest

from gristmill.batches.chunk import Outcome
from gristmill.batches.info import State
from gristmill.errors import BatchCancelled
from gristmill.worker.slot.runner import Runner
from tests.conftest import until
from tests.support.controlled import begin, keys, record, results, run_all_again, submit_failed
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

OTHER = "cpu@b"


class TestCancel:
    def test_what_does_not_run_is_cancelled_at_once_and_what_runs_is_recorded(self, ledger, control):
        submit(ledger, "b", 1000)
        chunk, items = begin(ledger)
        assert control.cancel("b", "by me") == []
        state = info(ledger, "b")
        assert (state.cancelled, state.left, state.state, state.reason) == (999, 1, State.RUNNING, "by me")
        while waits := pop(ledger):
            assert ledger.take(waits, WORKER) is None
        assert record(ledger, chunk, items) == 0
        state = info(ledger, "b")
        assert (state.succeeded, state.cancelled, state.left, state.state) == (1, 999, 0, State.CANCELLED)
        assert state.exit_code == 1
        found = results(ledger, 1000)
        assert [(one.index, one.input) for one in found] == [(n, n) for n in range(1000)]
        assert [one.state for one in found] == ["succeeded"] + 999 * ["cancelled"]
        assert (found[1].value, found[1].error, found[1].attempts, found[1].worker) == (None, None, 0, None)

    def test_what_a_chunk_did_not_get_to_is_cancelled_with_the_rest(self, ledger, control):
        submit(ledger, "b", 2000, block=1000)
        chunk, items = begin(ledger)
        while len(items) < 4:
            record(ledger, chunk, items)
            chunk, items = begin(ledger)
        assert not ledger.stopped(chunk)
        control.cancel("b", "by me")
        assert ledger.stopped(chunk)
        record(ledger, chunk, items[:2], rest=len(items) - 2)
        state = info(ledger, "b")
        assert (state.left, state.submitted, state.done) == (0, 2000, 2000)
        assert state.cancelled == 2000 - state.succeeded

    def test_items_that_wait_for_their_next_attempt_keep_its_count(self, ledger, control):
        submit(ledger, "b", 2, retries=3)
        record(ledger, *begin(ledger), "failed", retry_ms=60000)
        control.cancel("b", "by me")
        assert [(one.state, one.attempts) for one in results(ledger, 2)] == [("cancelled", 1), ("cancelled", 0)]

    def test_chunks_of_the_workers_that_are_killed_are_cancelled_too(self, ledger, control):
        submit(ledger, "b", 3)
        (first, _), (second, items) = begin(ledger), begin(ledger, OTHER)
        assert control.cancel("b", "by me", [WORKER]) == [(WORKER, first)]
        assert (info(ledger, "b").cancelled, info(ledger, "b").left) == (2, 1)
        record(ledger, second, items)
        assert info(ledger, "b").state is State.CANCELLED
        assert first.message_id == f"b:{first.epoch}:0+1"

    def test_killed_after_all(self, ledger, control):
        submit(ledger, "b", 3)
        chunk, items = begin(ledger)
        assert control.cancel("b", "by me") == []
        assert control.cancel("b", "by you", [WORKER]) == [(WORKER, chunk)]
        assert (info(ledger, "b").cancelled, info(ledger, "b").reason) == (3, "by me")
        assert record(ledger, chunk, items) == 1, "what it did after all comes too late"
        assert control.cancel("b", "by me") is None
        assert control.cancel("other", "by me") is None

    def test_a_worker_hears_what_to_end_until_it_says_that_it_has(self, ledger, control):
        submit(ledger, "b", 3)
        chunk, _ = begin(ledger)
        # Whoever cancels may never see this answer.
        control.cancel("b", "by me", [WORKER])
        ledger.delete("b")
        for _ in range(2):
            assert ledger.heartbeat(WORKER, heartbeat(), [])[:4] == (0, False, [chunk.message_id], -1)
        assert ledger.heartbeat(OTHER, heartbeat(), [])[2] == []
        assert ledger.heartbeat(WORKER, heartbeat(), [], [chunk.message_id])[:4] == (0, False, [], -1)

    def test_the_server_forgets_what_a_worker_that_is_gone_was_to_end(self, ledger, control):
        submit(ledger, "b", 3)
        begin(ledger)
        control.cancel("b", "by me", [WORKER])
        assert 0 < ledger.client.ttl(ledger.settings.key(f"kill:{WORKER}")) <= 3600
        ledger._call("leave", worker=WORKER)
        assert not ledger.client.exists(ledger.settings.key(f"kill:{WORKER}"))

    def test_a_chunk_whose_worker_died_is_not_waited_for(self, ledger, control):
        submit(ledger, "b", 2)
        (dead, _), (alive, items) = begin(ledger), begin(ledger)
        control.cancel("b", "by me")
        age(ledger, "b", dead, 11_000)
        heal(ledger, [alive])
        assert info(ledger, "b").left == 1
        record(ledger, alive, items)
        assert (info(ledger, "b").cancelled, info(ledger, "b").succeeded) == (1, 1)

    def test_a_chunk_that_a_slot_went_on_with_is_waited_for_or_killed_too(self, ledger, control):
        ledger.heartbeat(WORKER, heartbeat(), [])
        submit(ledger, "b", 500)
        record(ledger, *begin(ledger))
        message, items = begin(ledger)
        _, work = ledger.record_and_go_on(message, outcomes(items), 0.001, WORKER)
        age(ledger, "b", work.chunk, 60_000)
        heal(ledger, [message])
        assert control.cancel("b", "by me") == []
        assert info(ledger, "b").left == len(work.items)
        assert control.cancel("b", "by me", [WORKER]) == [(WORKER, message)]
        assert info(ledger, "b").state is State.CANCELLED

    def test_a_chunk_that_comes_back_from_a_dead_worker_is_not_run(self, ledger, control):
        submit(ledger, "b", 1)
        chunk, _ = begin(ledger)
        control.cancel("b", "by me")
        assert ledger.take(chunk, OTHER) is None
        assert info(ledger, "b").state is State.CANCELLED

    def test_its_producer_learns_of_it(self, ledger, control):
        ledger.create("b", "token", FIELDS)
        ledger.append("b", "token", 0, ["0", "1"], "sha")
        control.cancel("b", "by me")
        for call in (
            lambda: ledger.append("b", "token", 2, ["2"], "sha2"),
            lambda: ledger.end("b", "token", 0),
            lambda: ledger.create("b", "next", FIELDS),
        ):
            with pytest.raises(BatchCancelled, match=r"'b' was cancelled .*\(by me\): 2 items"):
                call()
        assert info(ledger, "b").submitted == 2

    def test_before_anything_is_stored(self, ledger, control):
        ledger.create("b", "token", FIELDS)
        control.cancel("b", "by me")
        state = info(ledger, "b")
        assert (state.state, state.submitted, state.exit_code) == (State.CANCELLED, 0, 1)

    @pytest.mark.parametrize("count", [1, 7, 8, 9, 64, 1000])
    def test_bits_beyond_the_end_are_not_counted(self, ledger, control, count):
        submit(ledger, "b", count)
        control.cancel("b", "by me")
        assert info(ledger, "b").cancelled == count
        assert ledger.client.bitcount(ledger.key("b", "done")) == count

    def test_a_full_server_can_be_cleared(self, ledger, control):
        submit(ledger, "b", 100)
        ledger.client.config_set("maxmemory", 1)
        try:
            control.pause("b")
            control.cancel("b", "by me")
            ledger.delete("b")
            assert ledger.names() == []
        finally:
            ledger.client.config_set("maxmemory", 0)


@pytest.mark.parametrize("stop", ["cancel", "pause", "forget"])
def test_a_chunk_that_runs_stops_between_two_items(ledger, control, stop):
    """However long it may run for by its settings."""
    ledger.heartbeat(WORKER, heartbeat(), [])
    ledger.create("b", "token", {**FIELDS, "task": "pause", "parameter": "seconds", "chunk_seconds": 60})
    ledger.append("b", "token", 0, ["0.2"] * 500, "sha")
    ledger.end("b", "token", 0)
    chunk, items = begin(ledger)
    while len(items) < 50:
        ledger.record(chunk, [Outcome(one.index, "succeeded", 1, "0") for one in items], 0.001, WORKER)
        chunk, items = begin(ledger)
    runner = Runner(ledger, ledger.settings.model_copy(update={"chunk_seconds": 60}))
    thread = threading.Thread(target=runner.run, args=(chunk, WORKER))
    thread.start()
    {"cancel": lambda: control.cancel("b", "by me"), "pause": lambda: control.pause("b")}.get(
        stop, lambda: ledger.delete("b")
    )()
    thread.join(5)
    assert not thread.is_alive(), "its items take 10 s at least"
    if stop == "forget":
        assert keys(ledger) == []
        return
    state = info(ledger, "b")
    assert state.state is {"cancel": State.CANCELLED, "pause": State.PAUSED}[stop]
    control.resume("b")
    assert sum(one.count for one in iter(lambda: pop(ledger), None)) >= (stop == "pause")


class TestPause:
    def test_what_has_not_begun_is_held_and_goes_on_at_once(self, ledger, control):
        submit(ledger, "b", 100)
        chunk, items = begin(ledger)
        assert (control.pause("b"), control.pause("b")) == (True, False)
        assert info(ledger, "b").state is State.PAUSED
        assert ledger.stopped(chunk)
        while waits := pop(ledger):
            assert ledger.take(waits, WORKER) is None
        record(ledger, chunk, items)
        let_time_pass(ledger, "b")
        assert pop(ledger) is None
        assert (control.resume("b"), control.resume("b")) == (True, False)
        run_all(ledger)
        state = info(ledger, "b")
        assert (state.succeeded, state.duplicates, state.state) == (100, 0, State.SUCCEEDED)
        assert not control.pause("b")

    def test_it_goes_on_where_it_was_when_no_worker_asked_meanwhile(self, ledger, control):
        submit(ledger, "b", 100)
        control.pause("b")
        control.resume("b")
        assert sum(chunk.count for chunk in run_all(ledger)) == 100

    def test_what_is_submitted_meanwhile_waits(self, ledger, control):
        enlist(ledger)
        ledger.create("b", "token", FIELDS)
        control.pause("b")
        ledger.append("b", "token", 0, ["0"], "sha")
        ledger.end("b", "token", 0)
        assert pop(ledger) is None
        assert info(ledger, "b").state is State.PAUSED
        control.resume("b")
        run_all(ledger)
        assert info(ledger, "b").state is State.SUCCEEDED

    def test_one_that_is_cancelled_does_not_stay_paused(self, ledger, control):
        submit(ledger, "b", 10)
        chunk, items = begin(ledger)
        control.pause("b")
        control.cancel("b", "by me")
        assert not control.pause("b")
        record(ledger, chunk, items)
        assert info(ledger, "b").state is State.CANCELLED

    def test_what_is_given_back_meanwhile_waits(self, ledger, control):
        submit(ledger, "b", 1)
        submit_failed(ledger)
        control.retry("b")
        control.pause("b")
        assert ledger.take(pop(ledger), WORKER) is None
        control.resume("b")
        run_all(ledger)
        assert info(ledger, "b").state is State.SUCCEEDED


class TestHalt:
    def test_after_so_many_failures(self, ledger):
        submit(ledger, "b", 100, halt="3")
        for _ in range(2):
            record(ledger, *begin(ledger), "failed")
        assert info(ledger, "b").reason is None
        record(ledger, *begin(ledger), "failed")
        state = info(ledger, "b")
        assert (state.failed, state.cancelled, state.state) == (3, 97, State.CANCELLED)
        assert state.reason == "3 failed, and --halt is 3"

    def test_a_share_counts_once_the_number_of_all_is_known(self, ledger):
        enlist(ledger)
        ledger.create("b", "token", {**FIELDS, "halt": "10%"})
        ledger.append("b", "token", 0, [str(n) for n in range(20)], "sha")
        for _ in range(2):
            record(ledger, *begin(ledger), "failed")
        assert info(ledger, "b").reason is None
        ledger.end("b", "token", 0)
        state = info(ledger, "b")
        assert (state.failed, state.cancelled, state.reason) == (2, 18, "2 failed, and --halt is 10%")

    def test_the_last_item_of_all_cancels_nothing(self, ledger):
        submit(ledger, "b", 3, halt="100%")
        submit_failed(ledger)
        state = info(ledger, "b")
        assert (state.failed, state.state, state.reason) == (3, State.FAILED, None)

    def test_failures_before_a_retry_do_not_count(self, ledger, control):
        submit(ledger, "b", 3, halt="2")
        record(ledger, *begin(ledger), "failed")
        control.retry("b")
        record(ledger, *begin(ledger), "failed")
        assert info(ledger, "b").reason is None

    @pytest.mark.parametrize(("pool", "is_async"), [("prefork", {}), ("threads", {"is_async": 1})])
    def test_now_ends_what_runs_where_it_can_be_ended(self, ledger, pool, is_async):
        ledger.heartbeat(WORKER, {**heartbeat(16), "pool": pool}, [])
        ledger.heartbeat(OTHER, {**heartbeat(16), "pool": "threads"}, [])
        submit(ledger, "b", 100, halt="now,fail=1", **is_async)
        (chunk, items), (first, _), (second, _) = begin(ledger), begin(ledger), begin(ledger, OTHER)
        record(ledger, chunk, items, "failed")
        assert ledger.heartbeat(WORKER, {**heartbeat(16), "pool": pool}, [])[2] == [first.message_id]
        killed = [second.message_id] if is_async else []
        assert ledger.heartbeat(OTHER, {**heartbeat(16), "pool": "threads"}, [])[2] == killed
        state = info(ledger, "b")
        assert (state.failed, state.left, state.reason) == (
            1,
            0 if is_async else 1,
            "1 failed, and --halt is now,fail=1",
        )

    def test_enough_successes_end_it_and_its_code_is_0(self, ledger, control):
        submit(ledger, "b", 10, halt="success=2")
        for word in ("succeeded", "failed", "succeeded"):
            assert info(ledger, "b").reason is None
            record(ledger, *begin(ledger), word)
        state = info(ledger, "b")
        assert (state.state, state.succeeded, state.failed, state.cancelled) == (State.CANCELLED, 2, 1, 7)
        assert (state.reason, state.exit_code) == ("2 succeeded, and --halt is success=2", 0)
        control.retry("b", cancelled=True)
        run_all_again(ledger)
        state = info(ledger, "b")
        assert (state.state, state.succeeded, state.exit_code) == (State.SUCCEEDED, 10, 0)


class TestPriority:
    def test_its_messages_stand_on_its_level(self, ledger):
        submit(ledger, "b", 3, priority=7)
        assert ledger.client.xlen(ledger.settings.key("q:cpu:7")) == 3
        assert ledger.client.xlen(queue_key(ledger)) == 0
        let_time_pass(ledger, "b")
        assert ledger.client.xlen(ledger.settings.key("q:cpu:7")) == 3, "they are seen to stand there"


class TestKept:
    def test_every_key_expires_after_the_end_and_not_before(self, ledger):
        submit(ledger, "b", 1200, ttl=3_600_000, retries=1)
        chunk, items = begin(ledger)
        record(ledger, chunk, items, "failed", retry_ms=1)
        begin(ledger)
        assert {ledger.client.ttl(key) for key in keys(ledger)} == {-1}
        let_time_pass(ledger, "b")
        run_all_again(ledger)
        assert info(ledger, "b").state is State.SUCCEEDED
        kept = {key.rpartition(":")[2]: ledger.client.ttl(key) for key in keys(ledger)}
        assert {"state", "in", "done", "events", "attempts", "slowest", "0", "1", "2"} == set(kept) - {"meter"}
        assert all(3500 < seconds <= 3600 for seconds in kept.values()), kept

    def test_a_retry_keeps_it_until_the_next_end(self, ledger, control):
        submit(ledger, "b", 10, ttl=3_600_000)
        submit_failed(ledger)
        assert all(ledger.client.ttl(key) > 0 for key in keys(ledger))
        control.retry("b")
        assert {ledger.client.ttl(key) for key in keys(ledger)} == {-1}
        run_all_again(ledger)
        assert all(ledger.client.ttl(key) > 0 for key in keys(ledger))

    def test_when_its_time_has_come_its_name_goes_too(self, ledger):
        submit(ledger, "b", 10, ttl=50)
        submit(ledger, "stays", 1)
        ledger.client.delete(queue_key(ledger))
        let_time_pass(ledger, "b")
        run_all_again(ledger)
        until(lambda: ledger.names() == ["stays"])
        assert not [key for key in keys(ledger) if ":batch:b:" in key]
        assert ledger.client.zrange(ledger.settings.key("batches"), 0, -1) == ["stays"]

    def test_it_is_listed_while_its_keys_outlive_its_time(self, ledger):
        submit(ledger, "b", 10, ttl=3_600_000)
        run_all_again(ledger)
        ledger.client.zadd(ledger.settings.key("expiring"), {"b": 1})
        assert ledger.names() == ["b"]
        for key in keys(ledger):
            if ":batch:b:" in key:
                ledger.client.delete(key)
        assert ledger.names() == []

    def test_what_still_ran_when_it_was_forgotten_leaves_nothing(self, ledger):
        submit(ledger, "b", 1200)
        record(ledger, *begin(ledger), "failed", retry_ms=1)
        chunk, items = begin(ledger)
        ledger.delete("b")
        assert keys(ledger) == []
        assert ledger.stopped(chunk)
        heal(ledger, [chunk])
        assert record(ledger, chunk, items) == 1
        while waits := pop(ledger):
            assert ledger.take(waits, WORKER) is None
        assert keys(ledger) == []
        assert ledger.client.smembers(ledger.settings.key("active")) == set()
