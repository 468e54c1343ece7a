"""The guards of notices."""

from tests.mutants.mutant import NO_WAY_IN, TOLD, TRUE, Mutant

NOTICES = "tests/integration/test_notices.py"
STUCK = "tests/integration/test_stuck.py"
BATCHES = "gristmill/batches/lua"

MUTANTS = (
    Mutant(
        "the step that ends a batch writes its notice",
        f"{BATCHES}/ending.lua",
        "  notices.tell_end(batch, now)\n",
        "",
        f"{NOTICES}::TestEnds::test_each_is_told_once[failed]",
        TOLD,
    ),
    Mutant(
        "a notice that is being sent stays until it is delivered",
        f"{BATCHES}/claim_notice.lua",
        "    redis.call('ZADD', GM .. 'notices', now + lease, id)\n",
        "    redis.call('ZREM', GM .. 'notices', id)\n",
        f"{NOTICES}::TestTries::test_what_a_dead_worker_had_claimed_is_sent",
        TOLD,
    ),
    Mutant(
        "a claim whose answer was lost is the same one",
        f"{BATCHES}/claim_notice.lua",
        "if before then return cjson.decode(before) end",
        "",
        f"{NOTICES}::TestTries::test_a_claim_whose_answer_was_lost_is_the_same_one",
        TOLD,
    ),
    Mutant(
        "a worker whose claim is over notes no failure",
        f"{BATCHES}/settle_notice.lua",
        "or outcome ~= 'delivered' and n[1] ~= claim",
        "",
        f"{NOTICES}::TestTries::test_a_late_note_changes_nothing",
        TOLD,
    ),
    Mutant(
        "what cannot go on is not stuck",
        f"{BATCHES}/stalls.lua",
        "  if b.paused or b.waiting then return true end\n",
        "",
        f"{STUCK}::TestStuck::test_what_cannot_go_on_is_not_stuck[paused]",
        TRUE,
    ),
    Mutant(
        "a notice that was given up is sent again when somebody asks",
        f"{BATCHES}/notices.lua",
        "    if is_written and cjson.decode(b.notice).state ~= 'failed' then return false end\n",
        "    if is_written then return false end\n",
        f"{NOTICES}::TestTries::test_one_that_was_given_up_is_sent_again_when_somebody_asks",
        TOLD,
    ),
    Mutant(
        "a notice goes to no address that is not public",
        "tasks/fetch/addresses.py",
        "        if reason := refusal(ip_address(address), allowed):",
        "        if (reason := refusal(ip_address(address), allowed)) and False:",
        f"{NOTICES}::TestTries::test_a_name_that_leads_to_this_host_is_refused",
        NO_WAY_IN,
    ),
)
