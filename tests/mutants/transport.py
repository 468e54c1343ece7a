"""The guards of the transport."""

from tests.mutants.mutant import ALONE, LOST, ONCE, TRUE, Mutant

GUARDS = "tests/integration/test_transport_guards.py"
LETTERS = "tests/integration/test_dead_letters.py"
LISTS = "tests/integration/test_lists.py"
HOSTS = "tests/integration/test_host_limit.py"
KINDS = "tests/integration/test_server_kinds.py"
BROKER = "gristmill/broker/lua"

MUTANTS = (
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
        f"{BROKER}/lease.lua",
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
)
