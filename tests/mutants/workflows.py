"""The guards of links between batches, and of the turns in which submitters share a queue."""

from tests.mutants.mutant import FAIR, FLAT, LOST, ONCE, TRUE, Mutant

LINKS = "tests/integration/test_links.py"
VALUES = "tests/integration/test_from_batch.py"
LISTS = f"{VALUES}::TestListsOfManyElements"
SHARING = "tests/integration/test_sharing.py"
BATCHES = "gristmill/batches/lua"

MUTANTS = (
    Mutant(
        "a batch waits for each of several",
        f"{BATCHES}/links.lua",
        "'waiting', -1) == 0 then",
        "'waiting', -1) <= 1 then",
        f"{LINKS}::test_a_batch_waits_for_each_of_several",
        TRUE,
    ),
    Mutant(
        "an end with failures is no success",
        f"{BATCHES}/links.lua",
        "    if a.failed + a.dead > 0 then return name .. ' failed' end\n",
        "",
        f"{LINKS}::test_what_can_no_longer_come_true_is_cancelled_with_its_reason",
        TRUE,
    ),
    Mutant(
        "what can no longer come true is cancelled once all is stored",
        f"{BATCHES}/links.lua",
        "    if b.waiting and b.unmet and b.input_ended and not b.cancelling and not b.finished then\n",
        "    if b.waiting and b.unmet and not b.cancelling and not b.finished then\n",
        f"{LINKS}::test_all_items_are_stored_before_the_batch_is_cancelled",
        LOST,
    ),
    Mutant(
        "who has not begun waits for a retry",
        f"{BATCHES}/links.lua",
        "        if how == 'met' then redis.call('HINCRBY', key(dependent, 'state'), 'waiting', 1) end\n",
        "",
        f"{LINKS}::test_a_batch_that_still_waits_for_another_waits_for_the_retry_too",
        TRUE,
    ),
    Mutant(
        "who has begun is told of a retry",
        f"{BATCHES}/links.lua",
        "        supersede(dependent, b, batch)\n",
        "",
        f"{LINKS}::test_a_batch_that_has_begun_says_that_it_took_the_first_end",
        TRUE,
    ),
    Mutant(
        "a batch that others wait for is not deleted",
        f"{BATCHES}/links.lua",
        " and not b.cancelling then return entries[i] end\n",
        " and false then return entries[i] end\n",
        f"{LINKS}::test_a_batch_is_not_deleted_while_another_waits_for_it",
        LOST,
    ),
    Mutant(
        "a slow batch holds the one that it takes from",
        f"{BATCHES}/takers.lua",
        "      if takers.is_full(taker[2], part) then return 'batch ' .. taker[1] end\n",
        "",
        f"{VALUES}::test_a_slow_batch_holds_its_source_until_half_is_done",
        FLAT,
    ),
    Mutant(
        "a source is kept until its values are taken",
        f"{BATCHES}/sources.lua",
        " do redis.call('PERSIST', name) end\n",
        " do redis.call('EXISTS', name) end\n",
        f"{VALUES}::test_a_source_with_more_than_a_batch_may_have_is_kept_until_all_is_taken",
        LOST,
    ),
    Mutant(
        "a block says from where on its batch takes more",
        f"{BATCHES}/sources.lua",
        "'event', b.source_event, 'place', place)",
        "'event', b.source_event, 'place', '')",
        f"{LISTS}::test_what_a_torn_server_kept_of_a_step_comes_once",
        ONCE,
    ),
    Mutant(
        "a huge list is taken in steps",
        f"{BATCHES}/sources.lua",
        "      marks_left = marks_left - 1\n",
        "",
        f"{LISTS}::test_the_elements_of_a_huge_list_come_in_steps",
        TRUE,
    ),
    Mutant(
        "few messages wait of those who have many batches",
        f"{BATCHES}/sharing.lua",
        "    if free > b.live_slots then return free end\n",
        "    if true then return b.live_slots end\n",
        f"{SHARING}::test_a_batch_ends_beside_so_many_of_somebody_else[200]",
        FAIR,
    ),
    Mutant(
        "who has a turn in line comes before who records",
        f"{BATCHES}/sharing.lua",
        "    return first_in_line(b.queue, b.priority) == b.priority and 0 or places_left(",
        "    return places_left(",
        f"{SHARING}::test_submitters_have_turns_by_turns_however_many_batches_they_have",
        FAIR,
    ),
    Mutant(
        "a chunk that leaves flight lets the line go on",
        f"{BATCHES}/release.lua",
        "  for queue in pairs(left_queues) do release_in_line(queue, TURNS_MOST, now) end\n",
        "",
        f"{SHARING}::test_no_slot_stands_idle_and_each_item_runs_once",
        FAIR,
    ),
    Mutant(
        "what workers put off does not keep others in line",
        f"{BATCHES}/sharing.lua",
        "    return free > 0 and free or free + redis.call('ZCOUNT', back(queue), '(' .. LEVELS, '+inf')\n",
        "    return free\n",
        f"{SHARING}::test_what_workers_put_off_is_in_nobodys_way",
        FAIR,
    ),
    Mutant(
        "a fleet that grows lets the line go on",
        f"{BATCHES}/heartbeat.lua",
        "release_in_line(queue, CALL_MOST, now)\n",
        "",
        f"{SHARING}::test_a_fleet_that_grows_lets_those_in_line_go_on",
        FAIR,
    ),
)
