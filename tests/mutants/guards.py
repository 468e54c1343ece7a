"""The guards of the first promises, each with the mutation that takes it out and the test that must turn red."""

from dataclasses import dataclass

LEDGER, CONTROL, RETRY = (f"tests/integration/test_{name}.py" for name in ("ledger", "control", "retry"))
CONSUME, OUTCOMES, UPKEEP = (f"tests/integration/test_{name}.py" for name in ("consume", "outcomes", "upkeep"))
GUARDS, LETTERS = (f"tests/integration/test_{name}.py" for name in ("transport_guards", "dead_letters"))
LISTS, HOSTS, KINDS = (f"tests/integration/test_{name}.py" for name in ("lists", "host_limit", "server_kinds"))
BATCHES, BROKER = "gristmill/batches/lua", "gristmill/broker/lua"

#: Lines of docs/design.md, by what they promise.
LOST = "1. **Nothing is lost.**"
ONCE = "2. **Every result is recorded once**"
REPEATED = "3. **A submit can be repeated.**"
ALONE = "4. **A bad item harms only itself.**"
TRUE = "6. **Every figure shown is true.**"


@dataclass(frozen=True, slots=True)
class Mutant:
    """A guard taken out: in `path`, `text` (which stands there once) becomes `mutation`; `test` has to fail then.

    `promise` begins the line of docs/design.md that no longer holds without the guard.
    """

    name: str
    path: str
    text: str
    mutation: str
    test: str
    promise: str


MUTANTS = (
    # -- the transport
    Mutant(
        "a scan waits for a whole lease of unbroken connection",
        "gristmill/broker/leases.py",
        "if since is None or time.monotonic() - since <= self.seconds:",
        "if since is None:",
        f"{GUARDS}::TestScanning::test_begins_after_a_whole_lease_of_unbroken_connection",
        ONCE,
    ),
    Mutant(
        "a scan begins anew with another server",
        "gristmill/broker/leases.py",
        "if server != self._server or stopped",
        "if stopped",
        f"{GUARDS}::TestScanning::test_begins_anew_with_another_server",
        ONCE,
    ),
    Mutant(
        "a scan begins anew after the process was stopped",
        "gristmill/broker/leases.py",
        "if server != self._server or stopped or",
        "if server != self._server or",
        f"{GUARDS}::TestScanning::test_begins_anew_after_this_process_was_stopped",
        ONCE,
    ),
    Mutant(
        "a scan leaves what a living consumer holds",
        f"{BROKER}/reclaim.lua",
        "'-inf', now - silent, 'BYSCORE'",
        "'-inf', now, 'BYSCORE'",
        f"{GUARDS}::TestScanning::test_leaves_what_a_living_consumer_holds",
        ONCE,
    ),
    Mutant(
        "a delivery hands back what it did not get to",
        "gristmill/broker/channel.py",
        "            if count < len(entries):\n",
        "            if count < 0:\n",
        f"{GUARDS}::TestDelivery",
        LOST,
    ),
    Mutant(
        "a process that ends hands back what is not done",
        "gristmill/broker/leases.py",
        "rest = [tag for tag in list(self.holding) if tag not in set(done)]",
        "rest = list[str]()",
        f"{GUARDS}::test_a_process_that_ends_hands_back_what_is_not_done_and_acknowledges_what_is",
        LOST,
    ),
    Mutant(
        "a process that ends acknowledges what is done",
        "gristmill/broker/leases.py",
        "        if done:\n            scripts.call(",
        "        if not done:\n            scripts.call(",
        f"{GUARDS}::test_a_process_that_ends_hands_back_what_is_not_done_and_acknowledges_what_is",
        ONCE,
    ),
    Mutant(
        "a reader that was stopped renews the lease before it reads",
        "gristmill/broker/reader.py",
        "if self._empty and fresh and",
        "if self._empty and",
        f"{GUARDS}::TestReading::test_renews_the_lease_of_a_process_that_was_stopped",
        ONCE,
    ),
    Mutant(
        "only its owner acknowledges a message",
        f"{BROKER}/lease.lua",
        "return not entries.err and entries[1] and entries[1][4] or nil",
        "return 1",
        f"{GUARDS}::TestOwners",
        LOST,
    ),
    Mutant(
        "a lot is put once",
        f"{BROKER}/put.lua",
        "if not redis.call('SET', GM .. 'put:' .. token, 1, 'NX', 'PX', remember) then return end",
        "redis.call('SET', GM .. 'put:' .. token, 1, 'NX', 'PX', remember)",
        f"{KINDS}::test_contract[valkey-9-resp3]",
        ONCE,
    ),
    Mutant(
        "a death is counted against the message that the worker held",
        f"{BROKER}/reclaim.lua",
        "do return_suspect(queue, level, entry[1]) end",
        "do give_back(queue, level, entry[1]) end",
        f"{GUARDS}::TestOwners",
        ALONE,
    ),
    Mutant(
        "a message that is hidden for a time comes back",
        f"{BROKER}/take.lua",
        "if handed_back[queue] then ripen(queue) end",
        "",
        f"{KINDS}::test_contract[valkey-9-resp3]",
        LOST,
    ),
    Mutant(
        "a message that is due comes to its queue",
        f"{BROKER}/take.lua",
        "if redis.call('EXISTS', later(queue)) == 1 then wake(queue) end",
        "",
        f"{KINDS}::test_contract[valkey-9-resp3]",
        LOST,
    ),
    Mutant(
        "no dead letter is dropped to make room",
        f"{BROKER}/bury.lua",
        "    give_back(queue, level, id, milliseconds() + wait)\n    return 0\n",
        "    remove(queue, level, {id})\n    return 0\n",
        f"{LETTERS}::test_with_no_room_for_it_a_message_stays_and_an_alarm_is_said",
        LOST,
    ),
    Mutant(
        "a dead letter is requeued before it is removed",
        f"{BROKER}/dead_letters.lua",
        "if requeue then redis.call('XADD'",
        "if false then redis.call('XADD'",
        f"{LETTERS}::test_a_requeued_letter_runs",
        LOST,
    ),
    Mutant(
        "a purge leaves what is being worked on",
        f"{BROKER}/purge.lua",
        "  if pending == 0 then\n",
        "  if true then\n",
        f"{KINDS}::test_contract[valkey-9-resp3]",
        LOST,
    ),
    Mutant(
        "a list is cut by what was moved off it",
        f"{BROKER}/move.lua",
        "redis.call('LTRIM', key, 0, -1 - count)",
        "redis.call('LTRIM', key, 0, -2 - count)",
        f"{LISTS}::TestMoving::test_is_in_steps_that_leave_the_server_free",
        LOST,
    ),
    Mutant(
        "a slot of a remote host is taken once",
        "tasks/fetch/lua/take_slot.lua",
        "if redis.call('ZSCORE', slots, slot) then",
        "if false then",
        f"{HOSTS}::test_a_lost_reply_takes_no_second_slot",
        TRUE,
    ),
    # -- the ledger
    Mutant(
        "the bit of an item guards its outcome",
        f"{BATCHES}/record.lua",
        "if string.byte(bits, i) ~= 48 then",
        "if false then",
        f"{OUTCOMES}::TestRuns::test_the_first_outcome_counts_also_within_a_run",
        ONCE,
    ),
    Mutant(
        "a group is recorded whole only where nothing was recorded",
        f"{BATCHES}/record.lua",
        "if redis.call('BITCOUNT', key(batch, 'done'), group.first, after - 1, 'BIT') > 0 then return false end",
        "",
        f"{OUTCOMES}::TestRuns::test_the_first_outcome_counts_also_within_a_run",
        ONCE,
    ),
    Mutant(
        "the epoch voids records of a batch of before",
        f"{BATCHES}/record.lua",
        "if b.epoch ~= epoch then",
        "if false then",
        f"{LEDGER}::test_late_records_of_a_forgotten_batch_do_not_fit_the_next_of_its_name",
        ONCE,
    ),
    Mutant(
        "only the next attempt of an item counts",
        f"{BATCHES}/record.lua",
        "if single.attempt ~= all + 1 then",
        "if false then",
        f"{RETRY}::TestRetry::test_a_late_outcome_of_an_earlier_attempt_changes_nothing",
        ONCE,
    ),
    Mutant(
        "a chunk stays in flight while one of its items is nowhere else",
        f"{BATCHES}/record.lua",
        "    if not elsewhere then return false end\n",
        "",
        f"{RETRY}::TestRetry::test_the_late_end_of_an_attempt_does_not_lose_the_next",
        LOST,
    ),
    Mutant(
        "what a chunk did not get to is handed out anew",
        f"{BATCHES}/record.lua",
        "  if rest > 0 then\n",
        "  if false then\n",
        f"{LEDGER}::test_the_rest_of_a_chunk_goes_to_other_slots",
        LOST,
    ),
    Mutant(
        "the next attempt of a failed item waits for its time",
        f"{BATCHES}/record.lua",
        "redis.call('ZADD', key(batch, 'retry'), now + single.delay, single.first)",
        "redis.call('ZADD', key(batch, 'retry'), now, single.first)",
        f"{LEDGER}::test_a_failed_item_is_tried_again_when_it_is_due_and_not_before",
        TRUE,
    ),
    Mutant(
        "a recorded chunk is not run again",
        f"{BATCHES}/take.lua",
        "if b.epoch ~= epoch or not seen then return false end",
        "if b.epoch ~= epoch then return false end",
        f"{LEDGER}::test_an_outcome_is_recorded_once_and_duplicates_are_counted",
        ONCE,
    ),
    Mutant(
        "a chunk of a paused batch goes back to it",
        f"{BATCHES}/take.lua",
        "  redis.call('ZADD', key(batch, 'remainder'), first, chunk)\n",
        "",
        f"{CONTROL}::TestPause::test_what_has_not_begun_is_held_and_goes_on_at_once",
        LOST,
    ),
    Mutant(
        "what runs when a batch is cancelled is counted once",
        f"{BATCHES}/ending.lua",
        "    fill(open, first, count, 0)\n",
        "",
        f"{CONTROL}::TestCancel::test_what_does_not_run_is_cancelled_at_once_and_what_runs_is_recorded",
        ONCE,
    ),
    Mutant(
        "spare bits of a bitmap are no items",
        f"{BATCHES}/ending.lua",
        "  fill(open, stored, -stored % 8, 0)\n",
        "",
        f"{CONTROL}::TestCancel::test_bits_beyond_the_end_are_not_counted",
        TRUE,
    ),
    Mutant(
        "a cancelled batch settles when its last chunk is recorded",
        f"{BATCHES}/record.lua",
        "if b.cancelling then settle(batch, now, {}) end",
        "",
        f"{CONTROL}::TestCancel::test_what_a_chunk_did_not_get_to_is_cancelled_with_the_rest",
        LOST,
    ),
    Mutant(
        "a cancelled batch settles without its workers",
        f"{BATCHES}/upkeep.lua",
        "  if b.cancelling then settle(batch, now, {}) return end\n",
        "  if b.cancelling then return end\n",
        f"{UPKEEP}::TestNoWorker::test_whoever_lists_batches_settles_them",
        LOST,
    ),
    Mutant(
        "a message that is gone is put again",
        f"{BATCHES}/upkeep.lua",
        "  replace_messages(batch, b, now)\n",
        "",
        f"{LEDGER}::test_a_chunk_whose_message_is_gone_is_put_again_on_a_busy_queue_too",
        LOST,
    ),
    Mutant(
        "a message that stands is not put again",
        f"{BATCHES}/upkeep.lua",
        "if not (place and stands(b.queue, place)) then",
        "if true then",
        f"{LEDGER}::test_a_dropped_message_is_put_again_and_one_that_is_held_or_waits_is_not",
        ONCE,
    ),
    Mutant(
        "batches that wait for slots are released when a worker comes",
        f"{BATCHES}/heartbeat.lua",
        "release_wanting(queue, CALL_MOST, now)\n",
        "",
        f"{UPKEEP}::TestHandingOut::test_nothing_is_cut_before_there_is_a_worker",
        LOST,
    ),
    Mutant(
        "the time does not go back",
        f"{BATCHES}/heartbeat.lua",
        "wind_clock()\n",
        "",
        f"{UPKEEP}::TestClock",
        LOST,
    ),
    Mutant(
        "a batch ends only when its input has ended",
        f"{BATCHES}/ending.lua",
        "if not b.input_ended or b.finished or",
        "if b.finished or",
        f"{LEDGER}::test_a_batch_whose_input_is_open_goes_on",
        REPEATED,
    ),
    Mutant(
        "a block is stored where the stored items end",
        f"{BATCHES}/append.lua",
        " or b.stored ~= first then return 'lost' end",
        " then return 'lost' end",
        f"{LEDGER}::test_two_producers_feed_one_batch_one_after_the_other",
        REPEATED,
    ),
    Mutant(
        "one producer feeds a batch",
        f"{BATCHES}/create.lua",
        "elseif not b.input_ended and b.producer ~= token and b.producer_until > now then",
        "elseif false then",
        f"{LEDGER}::test_two_producers_feed_one_batch_one_after_the_other",
        REPEATED,
    ),
    Mutant(
        "a block whose answer was lost is stored once",
        f"{BATCHES}/append.lua",
        "if b.producer == token and b.stored == after and b.sha == sha then",
        "if false then",
        f"{LEDGER}::test_a_call_whose_answer_was_lost_can_be_repeated",
        REPEATED,
    ),
    Mutant(
        "a retry voids the messages of a batch that had ended",
        f"{BATCHES}/retry.lua",
        "  redis.call('HINCRBY', key(batch, 'state'), 'epoch', 1)\n",
        "",
        f"{RETRY}::TestRetry::test_messages_of_before_are_void",
        ONCE,
    ),
    Mutant(
        "a retry whose answer was lost answers what it did",
        f"{BATCHES}/retry.lua",
        "if before then return tonumber(before) end",
        "",
        f"{UPKEEP}::TestLostAnswers::test_retry",
        TRUE,
    ),
    Mutant(
        "a reader removes no result of another batch of the name",
        f"{BATCHES}/consume.lua",
        "if state(batch, {'created'}, {}).created ~= created then return after end",
        "",
        f"{CONSUME}::test_another_batch_of_the_name_is_left_alone",
        LOST,
    ),
    Mutant(
        "failed items keep their input when their block goes",
        f"{BATCHES}/consume.lua",
        "      if stay > 0 then retain(block.first, block.items) end\n",
        "",
        f"{CONSUME}::test_a_failed_item_whose_block_is_gone_can_run_again",
        LOST,
    ),
    Mutant(
        "batches in another form are refused",
        f"{BATCHES}/ledger.lua",
        "  if redis.call('EXISTS', GM .. 'batches') == 1 then return redis.error_reply('SCHEMA ' .. schema) end\n",
        "",
        f"{LEDGER}::test_keys_of_another_version_are_refused",
        LOST,
    ),
)
