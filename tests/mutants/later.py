"""The guards of appends and of schedules."""

from tests.mutants.mutant import FIRED, LOST, ONCE, REPEATED, Mutant

APPEND = "tests/integration/test_append.py"
SCHEDULES = "tests/integration/test_schedules.py"
REPAIR = "tests/integration/test_repair.py::TestHalfScripts"
BATCHES = "gristmill/batches/lua"

MUTANTS = (
    Mutant(
        "a block of an append that is sent again is known",
        f"{BATCHES}/add.lua",
        "if count > 0 and not (append.position == position + count and append.sha == sha) then",
        "if count > 0 then",
        f"{APPEND}::test_a_block_that_a_torn_server_kept_counts",
        REPEATED,
    ),
    Mutant(
        "an append goes on where it stopped",
        f"{BATCHES}/add.lua",
        "  append.position, append.sha, append.added = position + count, sha, append.added + number\n",
        "  append.sha, append.added = sha, append.added + number\n",
        f"{APPEND}::TestPython::test_an_append_that_was_killed_is_continued",
        REPEATED,
    ),
    Mutant(
        "an append has one producer",
        f"{BATCHES}/open.lua",
        "append.producer ~= producer and silence.ends_after_gap(append.alive, lease, now) > now and 'fed' or nil",
        "nil",
        f"{APPEND}::test_a_slow_producer_keeps_its_append_and_what_it_gave_is_stored",
        REPEATED,
    ),
    Mutant(
        "a block that a torn server kept counts",
        f"{BATCHES}/add.lua",
        "count_last_block(batch, b)\n",
        "",
        f"{APPEND}::test_a_block_that_a_torn_server_kept_counts",
        LOST,
    ),
    Mutant(
        "no finished batch is being cancelled, wherever a crash cuts the script that ends it",
        f"{BATCHES}/ending.lua",
        "key(batch, 'state'), 'paused', 'cancelling', 'retry_pending', 'held_by')\n",
        "key(batch, 'state'), 'paused', 'retry_pending', 'held_by')\n",
        f"{REPAIR}::test_a_batch_whose_end_is_written_in_part_can_be_retried",
        LOST,
    ),
    Mutant(
        "mending counts a block for its append too",
        f"{BATCHES}/repair_batch.lua",
        "    if mend then note_append(batch, block_of(entry)) end\n",
        "",
        f"{APPEND}::test_a_block_that_a_torn_server_kept_counts",
        REPEATED,
    ),
    Mutant(
        "an item whose value is there is not added",
        f"{BATCHES}/appends.lua",
        "redis.call('SISMEMBER', key(batch, 'values'), digest) == 0",
        "true",
        f"{APPEND}::test_a_value_is_added_once_by_whomever_it_comes",
        REPEATED,
    ),
    Mutant(
        "an open batch does not end",
        f"{BATCHES}/closing.lua",
        "  if close_after then redis.call('ZADD', GM .. 'closing', now + close_after, batch) end\n",
        "",
        f"{APPEND}::test_nothing_added_for_long_closes_it",
        LOST,
    ),
    Mutant(
        "a clock that is set forward closes no open batch",
        f"{BATCHES}/closing.lua",
        "if is_open and silence.ends_after_gap(0, b.close_after, now) > now then",
        "if false then",
        f"{APPEND}::test_a_clock_set_forward_closes_nothing_and_leaves_each_append_to_its_producer",
        LOST,
    ),
    Mutant(
        "a time of a schedule fires once",
        f"{BATCHES}/fire.lua",
        "tonumber(s.next) ~= due or ",
        "",
        f"{SCHEDULES}::TestRuns::test_workers_that_look_at_once_make_one",
        FIRED,
    ),
    Mutant(
        "an outage is answered once",
        f"{BATCHES}/fire.lua",
        "local following = missed and after_now or after_due",
        "local following = after_due",
        f"{SCHEDULES}::TestOutage::test_it_is_answered_once",
        FIRED,
    ),
    Mutant(
        "a run that a torn server kept a part of is completed",
        f"{BATCHES}/schedules.lua",
        "if b.task and b.schedule ~= schedule then return false end",
        "if b.task then return false end",
        f"{SCHEDULES}::TestRuns::test_what_a_torn_server_kept_of_a_run_is_completed",
        LOST,
    ),
    Mutant(
        "a batch begins at its time",
        f"{BATCHES}/upkeep.lua",
        "    set_paused(batch, false, now)\n    forget_time(batch)\n",
        "    forget_time(batch)\n",
        "tests/integration/test_start_times.py::TestStart::test_a_batch_begins_at_its_time",
        LOST,
    ),
    Mutant(
        "local times that come twice do not go back",
        "gristmill/batches/timetable.py",
        "            if (due := round(1000 * moment.timestamp())) > after:\n                return due\n",
        "            return round(1000 * moment.timestamp())\n",
        "tests/unit/test_timetable.py::TestCron::test_time_never_goes_back",
        ONCE,
    ),
)
