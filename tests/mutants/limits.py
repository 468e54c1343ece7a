"""The guards of limits."""

from tests.mutants.mutant import FAIR, LOST, Mutant

OF_BATCH = "tests/integration/test_value_limits.py::TestOfABatch"
OF_TASK = "tests/integration/test_value_limits.py::TestOfATask"
LIMITS = "tests/integration/test_limits.py"
BATCHES = "gristmill/batches/lua"

MUTANTS = (
    Mutant(
        "no more runs than the limit lets",
        f"{BATCHES}/limits.lua",
        "  local room = limit.most - limit.running\n",
        "  local room = limit.most - limit.running + 1\n",
        f"{LIMITS}::TestMaxRunning::test_so_many_chunks_are_in_flight[3-3]",
        FAIR,
    ),
    Mutant(
        "no more starts than the rate lets",
        f"{BATCHES}/limits.lua",
        "  limit.due = due + items * limit.interval\n",
        "  limit.due = due + items * limit.interval / 2\n",
        f"{LIMITS}::TestRate::test_so_many_are_handed_out_in_a_time",
        FAIR,
    ),
    Mutant(
        "what runs of a value counts while it is in flight",
        f"{BATCHES}/flight_counts.lua",
        "if b.limit_by and b.max_running then add_running(",
        "if false then add_running(",
        f"{OF_BATCH}::test_so_many_of_each_value_run_and_each_item_once",
        FAIR,
    ),
    Mutant(
        "an item that leaves flight makes its value ready",
        f"{BATCHES}/flight_counts.lua",
        "    if sign < 0 and value and now then redis.call('ZADD', key(batch, 'ready'), 'NX', now, value) end\n",
        "",
        f"{OF_BATCH}::test_so_many_of_each_value_run_and_each_item_once",
        LOST,
    ),
    Mutant(
        "items of other values are looked for behind those that wait",
        f"{BATCHES}/parked.lua",
        "    elseif not park_next(batch, b, now) then\n",
        "    elseif b.parked > 0 or not park_next(batch, b, now) then\n",
        f"{OF_BATCH}::test_other_values_go_on_while_one_waits",
        FAIR,
    ),
    Mutant(
        "batches that wait for room of their task come first",
        f"{BATCHES}/limits.lua",
        "  if others_first(b, limit) then",
        "  if false then",
        f"{OF_TASK}::test_its_batches_share_it_by_turns",
        FAIR,
    ),
    Mutant(
        "what leaves flight releases the batches that wait",
        f"{BATCHES}/record.lua",
        "release_freed(now)\n",
        "",
        f"{OF_TASK}::test_its_batches_share_it_by_turns",
        FAIR,
    ),
)
